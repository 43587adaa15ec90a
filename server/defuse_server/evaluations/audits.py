"""The audit of an evaluation that names none: the newest that still counts, or one that is made for it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.models_pb2 import JobState
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.evaluations.inputs import Compared, audit_digest, is_fresh
from defuse_server.gate.policy import Policy
from defuse_server.names import artifact_sha256
from defuse_server.records.resources import MadeOf

_LATEST = 100
"""Audits of a baseline among which the last is looked for."""
_UNFINISHED = (JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING)


async def newest_valid(backend: Backend, compared: Compared, policy: Policy) -> Audit | None:
    """The audit of the baseline's bytes that SUCCEEDED last, where the policy finds it young enough."""
    audits = [
        audit
        for audit in await backend.resources.several(Audit, await _names(backend, compared))
        if audit.state == JobState.JOB_STATE_SUCCEEDED
    ]
    newest = max(audits, key=lambda audit: audit.times.end_time.ToNanoseconds(), default=None)
    return newest if newest is not None and is_fresh(newest, policy, datetime.now(UTC)) else None


async def last(backend: Backend, baseline: Classifier) -> Audit | None:
    """The audit of the baseline's bytes that SUCCEEDED last, whatever it was made over."""
    key = redis_keys.audits_of_classifier(artifact_sha256(baseline.artifact))
    members = await cast("Any", backend.redis.zrevrange(key, 0, _LATEST - 1))
    audits = await backend.resources.several(Audit, [member.decode() for member in members])
    ended = [audit for audit in audits if audit.state == JobState.JOB_STATE_SUCCEEDED]
    return max(ended, key=lambda audit: audit.times.end_time.ToNanoseconds(), default=None)


def indexes(classifier: Classifier, vae: Vae, dataset: Dataset) -> list[str]:
    """Where an audit of these is found again."""
    return [
        redis_keys.audits_of(audit_digest(classifier, vae, dataset)),
        redis_keys.audits_of_classifier(artifact_sha256(classifier.artifact)),
    ]


async def joined(backend: Backend, compared: Compared, policy: Policy, device: str) -> Audit:
    """An audit of the baseline with the policy's budget: a new one, or one that another evaluation awaits."""
    config = policy.audit_config()
    config.device = device
    inputs = audit_digest(compared.baseline, compared.vae, compared.dataset)
    made_of = hashlib.sha256(inputs.encode() + config.SerializeToString(deterministic=True)).hexdigest()
    audit = Audit(
        display_name=f"for the gate: {compared.baseline.display_name or compared.baseline.name}"[:200],
        classifier=compared.baseline.name,
        vae=compared.vae.name,
        dataset=compared.dataset.name,
        config=config,
    )
    made, _ = await backend.resources.create(
        audit,
        str(uuid.uuid4()),
        b"",
        references=[audit.classifier, audit.vae, audit.dataset],
        made_of=MadeOf[Audit](made_of, lambda other: other.state in _UNFINISHED),
        indexes=indexes(compared.baseline, compared.vae, compared.dataset),
    )
    if made.state == JobState.JOB_STATE_QUEUED:
        # Also for one that is joined: whoever made it may have died before it was enqueued.
        await backend.jobs.submit(made.name)
    return made


async def _names(backend: Backend, compared: Compared) -> list[str]:
    inputs = audit_digest(compared.baseline, compared.vae, compared.dataset)
    members = await cast("Any", backend.redis.zrevrange(redis_keys.audits_of(inputs), 0, -1))
    return [member.decode() for member in members]
