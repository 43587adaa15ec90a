"""Every Redis key, with its type and lifetime. No other module makes up a key.

Scripts get their keys from here, in the order that their first lines document. `{name}` is a resource's name
such as `audits/01j...`, and `{audit}` is an audit's name. An audit's region split, `audits/01j.../split`, has
such a hash, too. It is queued again whenever regions wait (begin_region_splits.lua).

The hash of a resource (`resource(name)`) has the fields

    field                    value                                        written by
    body                     serialized message: all that is not below    create, then the job's fence
    state                    number of its JobState or RegistrationState  create, then the job's fence
    revision                 counts changes, from 1                       everyone who changes what Get shows
    attempt                  0, then the number of workers that took it   the job's fence (claim)
    worker                   id of the worker that has it                 the job's fence (claim)
    progress                 serialized Progress: stage, done, total,     the job's fence
                             unit, rate_per_s, estimated_remaining, device
    heartbeat_ms             Redis time of the worker's last sign of life the job's fence
    failure                  serialized Failure                           the job's fence
    create_ms                Redis time                                   create
    queue_ms                 Redis time when it joined the queue, of an   the end of its wait for an audit
                             evaluation that waited for its audit
    start_ms, end_ms         Redis time                                   the job's fence
    deaths                   number of workers that died of it            the job's fence (claim)
    released                 set where its worker gave it back unharmed   the job's fence
    regions_artifact         of an audit, once published; grows with      the job's fence, its region split's
                             each region split
    readers_artifact         of an audit that trained readers             the job's fence
    references               names that it refers to, joined by spaces    create
    candidate_count,         of an audit, so far                          publishing chunks
    misclassification_count,
    seed_count
    region_count             of an audit, so far                          publishing regions

A script that changes one of these fields increments `revision` and publishes the resource's name on
`CHANGED`. A heartbeat does neither, as its age changes all the time.
"""

from collections.abc import Callable

from defuse_server.names import region_split_name

PREFIX = "defuse:"


def _key(kind: str) -> Callable[[str], str]:
    """Return a function from a name to its key. The name is a resource's, unless the key says otherwise."""
    return lambda name: f"{PREFIX}{kind}:{name}"


REQUEST_TTL_S = 48 * 3600
"""A create can be repeated with the same answer for this long."""

CHANGED = PREFIX + "changed"
"""Channel: names of resources that changed, of regions that were decided or are open again, and `QUEUE` when
a job waits."""

QUEUE = PREFIX + "queue"
"""Sorted set, name -> place: resources that wait for a worker (QUEUED or INSPECTING, not claimed). A place is
a sequence number, less `HEAD_START` of a region split, and less twice that of an inspection. Create adds a
name; claim and cancel remove it."""

HEAD_START = 10**12
"""Region splits have places below 0, before all long jobs, and inspections below its negative, before all."""

RUNNING = PREFIX + "running"
"""Set: names of jobs that a worker has claimed and that have not ended."""

WORKERS = PREFIX + "workers"
"""Sorted set, name of a worker -> Redis time in ms of its last sign of life. Workers that stop leave it."""

AWAITING_AUDIT = PREFIX + "awaiting-audit"
"""Sorted set, name -> sequence number: QUEUED evaluations whose audit has not ended. Create adds them here
instead of to `QUEUE`. When the audit has ended, end_wait.lua moves them to `QUEUE` or ends them. Cancel
removes a name."""

CODE_VERSION = PREFIX + "code-version"
"""String: code version of the worker that started last. Never expires."""

SIGNING_KEY_ID = PREFIX + "signing-key-id"
"""String: id of that worker's signing key, empty if it has none. Never expires."""

SEQUENCE = PREFIX + "sequence"
"""Number: counts all resources ever made. Never expires."""

COUNTERS = PREFIX + "counters"
"""Hash of numbers that only grow, for the service's metrics: `label_answers`, `label_leases_expired`,
`job_leases_expired`. The scripts that change what they count increment them. Never expires."""

ACCESS_TOKENS = PREFIX + "access-tokens"
"""Hash, SHA-256 of a caller's token in hexadecimal -> JSON {name, roles, created_ms, expires_ms, revoked_ms};
the last two are 0 for never. Entries stay when tokens expire or are revoked: while there is one, callers must
show a token."""

ACCESS_TOKEN_USES = PREFIX + "access-token-uses"
"""Hash, SHA-256 of a caller's token -> Redis time in ms of its last use, to ten minutes."""

caller_requests = _key("caller-requests")
"""Hash {tokens, ms} of a caller: its token bucket, and the Redis time of its last request. Lives until the
bucket is full."""

caller_streams = _key("caller-streams")
"""Sorted set of a caller, random id of an open stream -> Redis time in ms until which it counts. The process
that serves the stream puts that off."""

caller_uploads = _key("caller-uploads")
"""Number of `{caller}:{day since 1970, UTC}`: bytes that the caller uploaded that day. Lives for two days."""

caller_audits = _key("caller-audits")
"""Sorted set of a caller, id of a request or name of an audit -> Redis time in ms until which it counts. A
request counts for a minute, until it has made its audit. An audit counts until it has ended; a script removes
it then."""

SECRET = PREFIX + "secret"
"""String, 32 random bytes: seals page tokens and cursors. Never expires."""

resource = _key("resource")
"""Hash, see above; lives until the resource is deleted."""

index = _key("index")
"""Sorted set, name -> sequence number, of all resources in the collection that it is given."""

referrers = _key("referrers")
"""Set of the names of resources that refer to this one, and so keep it from being deleted."""

made_of = _key("made-of")
"""Hash of a collection, digest of what a resource is made of -> name of the newest resource made of it.

That resource may have failed or been deleted since, so check it. Entries never expire, except those of
evaluations that no longer wait for their audit."""

audits_of = _key("audits-of")
"""Sorted set of an `audit_digest`, name -> sequence number, of the audits of these inputs.

Names of deleted audits may stay."""

audits_of_classifier = _key("audits-of-classifier")
"""Sorted set of a SHA-256, name -> sequence number, of the audits of these bytes of a classifier.

Names of deleted audits may stay."""


def request(collection: str, request_id: str) -> str:
    """Hash {digest, name} of a create; lives for `REQUEST_TTL_S`."""
    return f"{PREFIX}request:{collection}:{request_id}"


chunks = _key("chunks")
"""Hash, shard number -> JSON {sha256, size_bytes, records, candidates}; numbered from 0 without gaps."""

regions = _key("regions")
"""Hash, region number -> serialized Region as the search found it; numbers are 0, 1, ... without gaps."""

bugs = _key("bugs")
"""Hash, bug number -> serialized Bug as it was found; numbers are 0, 1, ... without gaps."""

predictions = _key("predictions")
"""Hash, region number -> predicted class."""

label_tasks = _key("label-tasks")
"""Hash, number of a task (of a region, bug or gold task; see names.py) -> JSON of its leases and answers.

labels/tasks.lua describes the JSON."""

label_states = _key("label-states")
"""Hash, region number -> `{RegionState}:{answers}:{wanted}:{label or empty}:{votes for it}:{votes}`."""

label_places = _key("label-places")
"""Sorted set, region number (nine digits) -> its rank, or minus its harm if it has none, of the regions with
a free place."""

label_ranks = _key("label-ranks")
"""Hash, number of a bug's task -> its rank in the order of asking; the smallest comes first. The order is
computed anew when answers have changed (`labels/asking_order.py`)."""

label_leases = _key("label-leases")
"""Sorted set, `{region number}:{token}` -> Redis time in ms when the lease ends."""

label_frozen = _key("label-frozen")
"""Set of the numbers of regions whose label a correction or a region split used."""

label_imports = _key("label-imports")
"""Hash, id of an imported annotation -> `{region number}:{vote}`. Entries stay."""

label_seen = _key("label-seen")
"""Set of `{number}:{annotator}`, `again:{number}:{annotator}` and `recheck:{number}:{annotator}`.

The first are annotators who hold, answered or skipped a task, and don't get it again. The second gave a
gold task or their answer to it back, and get it next. The third answered against what the search believes,
and are asked again after all other tasks."""

label_gold = _key("label-gold")
"""Hash, number of a gold task -> serialized Region with only its name and its sheets."""

LABEL_ESTIMATES_DUE = PREFIX + "label-unjudged"
"""Hash, audit -> Redis time in us of the last change of its answers, until a worker has estimated their
consensus (Dawid-Skene only). Submit and undo set it. Publishing estimates removes an audit whose time is
still the one that the worker saw."""

LABEL_MIXED = PREFIX + "label-mixed"
"""Set of the names of regions that wait to be split. The script that makes a region MIXED adds its name, and
the one that takes that back removes it, in the same step as the state. Publishing a region split removes the
name, too. Names of a deleted audit stay until a worker looks for them."""

WEBHOOK_DELIVERIES = PREFIX + "webhook-deliveries"
"""Sorted set, id of a delivery from MLflow -> Redis time in ms when it was accepted. Kept for an hour, longer
than a signature is valid."""

WEBHOOK_EVENTS = PREFIX + "webhook-events"
"""Hash, id of a delivery -> JSON {model, version, tries, failures}, until the delivery is done."""

WEBHOOK_DUE = PREFIX + "webhook-due"
"""Sorted set, id of a delivery that is not done -> Redis time in ms when it is due. While a process works on
it, that is the end of the lease."""

region_splits = _key("splits")
"""Hash, region number -> JSON {parts, reason}: the outcome for a MIXED region."""


def label_keys(audit: str) -> list[str]:
    """Return the keys of the label scripts, in their order."""
    of_all = [LABEL_ESTIMATES_DUE, LABEL_MIXED]
    return [*_label_keys_of(audit), *of_all, resource(audit), label_ranks(audit), COUNTERS]


def _label_keys_of(audit: str) -> list[str]:
    return [
        label_tasks(audit),
        label_states(audit),
        label_places(audit),
        label_leases(audit),
        label_frozen(audit),
        label_seen(audit),
        label_gold(audit),
    ]


def belongings(name: str) -> list[str]:
    """Return the keys that are deleted with a resource, besides its own hash and its place in the index."""
    published = [chunks(name), regions(name), bugs(name), predictions(name), region_splits(name)]
    labeling = [*_label_keys_of(name), label_ranks(name), label_imports(name)]
    return [referrers(name), *published, *labeling, resource(region_split_name(name))]


upload = _key("upload")
"""Hash {sha256, size_bytes, committed_bytes, artifact} of `uploads/{uuid}`; lives for its TTL."""

check_probe = _key("check-probe")
"""String, by a random id: what `defuse-server check` writes and deletes; lives for seconds."""

upload_parts = _key("upload-parts")
"""List of the file names of an upload's parts, in order; lives for the upload's TTL."""
