"""Chooses the audit of an evaluation that names none: the newest one that is fresh enough, or a new one."""

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.models_pb2 import JobState
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.evaluations.input_digest import Compared, audit_digest, is_fresh
from defuse_server.gate.policy import Policy
from defuse_server.names import artifact_sha256
from defuse_server.records.creation import MadeOf, NewResource

_LATEST = 100
"""Only this many of a baseline's audits are searched for the last one."""
_UNFINISHED = (JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING)


async def newest_fresh_audit(backend: Backend, compared: Compared, policy: Policy) -> Audit | None:
    """Return the last successful audit of these inputs, if the policy calls it fresh."""
    inputs = audit_digest(compared.baseline, compared.vae, compared.dataset)
    newest = await _last_succeeded(backend, redis_keys.audits_of(inputs), -1)
    return newest if newest is not None and is_fresh(newest, policy, datetime.now(UTC)) else None


async def last_audit(backend: Backend, baseline: Classifier) -> Audit | None:
    """Return the last successful audit of the baseline's bytes, with any VAE and dataset."""
    key = redis_keys.audits_of_classifier(artifact_sha256(baseline.artifact))
    return await _last_succeeded(backend, key, _LATEST - 1)


async def _last_succeeded(backend: Backend, key: str, last: int) -> Audit | None:
    members = await cast("Any", backend.redis.zrevrange(key, 0, last))
    audits = await backend.resources.several(Audit, [member.decode() for member in members])
    succeeded = [audit for audit in audits if audit.state == JobState.JOB_STATE_SUCCEEDED]
    return max(succeeded, key=lambda audit: audit.times.end_time.ToNanoseconds(), default=None)


def audit_indexes(classifier: Classifier, vae: Vae, dataset: Dataset) -> list[str]:
    """Return the indexes in which `newest_fresh_audit` and `last_audit` find an audit of these."""
    return [
        redis_keys.audits_of(audit_digest(classifier, vae, dataset)),
        redis_keys.audits_of_classifier(artifact_sha256(classifier.artifact)),
    ]


async def start_or_join_audit(backend: Backend, compared: Compared, policy: Policy, device: str) -> Audit:
    """Start an audit of the baseline with the policy's budget, or join one that has not ended."""
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
    new = NewResource(
        audit,
        request_id=str(uuid.uuid4()),
        request_body=b"",
        references=[audit.classifier, audit.vae, audit.dataset],
        made_of=MadeOf[Audit](made_of, lambda other: other.state in _UNFINISHED),
        indexes=audit_indexes(compared.baseline, compared.vae, compared.dataset),
    )
    made, _ = await backend.resources.create(new)
    await backend.jobs.announce()
    return made
