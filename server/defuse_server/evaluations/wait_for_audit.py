"""Evaluations that wait for their audit. They occupy no worker, and go on or fail when the audit ends."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final, cast

import structlog
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.error_reason_pb2 import ERROR_REASON_WRONG_STATE
from defuse.v1.models_pb2 import Failure, JobState
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.errors import BackendUnavailable
from defuse_server.evaluations.freezing import freeze
from defuse_server.evaluations.input_digest import Compared, waiting_digest
from defuse_server.host.redis_client import UNREACHABLE, Script
from defuse_server.jobs import failures
from defuse_server.records.kinds import kind_of_type
from defuse_server.records.record import JOB_RECORD

_INTERVAL_S: Final = 1.0
_SCRIPTS = (JOB_RECORD, Path(__file__).with_name("end_wait.lua"))

_log = structlog.get_logger(__name__)


async def keep_settling(backend: Backend, interval_s: float = _INTERVAL_S) -> None:
    """Settle evaluations soon after their audits have ended, until this task is cancelled."""
    while True:
        with contextlib.suppress(*UNREACHABLE, BackendUnavailable):
            await settle(backend)
        await asyncio.sleep(interval_s)


async def settle(backend: Backend) -> None:
    """Queue the evaluations whose audit has succeeded, with the present labels. Fail the others.

    Several processes may call this at once, or die on the way: one script queues each evaluation once.
    """
    members = await cast("Any", backend.redis.zrange(redis_keys.AWAITING_AUDIT, 0, -1))
    if not members:
        return
    waiting = await backend.resources.several(Evaluation, [member.decode() for member in members])
    audits = await backend.resources.several(Audit, list({evaluation.audit for evaluation in waiting}))
    ended = {audit.name: audit for audit in audits if audit.state in kind_of_type(Audit).states.final}
    for evaluation in waiting:
        if evaluation.audit in ended:
            await _settle_one(backend, evaluation, ended[evaluation.audit])


async def _settle_one(backend: Backend, evaluation: Evaluation, audit: Audit) -> None:
    compared = await compared_by(backend, evaluation, audit)
    waited_as = waiting_digest(evaluation, compared)
    failure = _failure_of(audit) or await _freezing_failure(backend, evaluation, compared, audit)
    settled = await Script(backend.redis, *_SCRIPTS)(
        [
            redis_keys.resource(evaluation.name),
            redis_keys.AWAITING_AUDIT,
            redis_keys.QUEUE,
            redis_keys.SEQUENCE,
            redis_keys.made_of("evaluations"),
        ],
        [
            evaluation.name,
            JobState.JOB_STATE_QUEUED,
            evaluation.SerializeToString(),
            *(waited_as, evaluation.input_digest),
            *(JobState.JOB_STATE_FAILED, failure.SerializeToString() if failure else b""),
        ],
    )
    if settled and failure is None:
        await backend.jobs.announce()
    if settled:
        _log.info(
            "evaluation.settled", evaluation=evaluation.name, audit=audit.name, failed=failure is not None
        )


async def _freezing_failure(
    backend: Backend, evaluation: Evaluation, compared: Compared, audit: Audit
) -> Failure | None:
    """Return why the labels can't be frozen, or None. An error of one evaluation holds up no other."""
    try:
        await freeze(backend, evaluation, compared, audit)
    except (*UNREACHABLE, BackendUnavailable):
        raise
    except Exception as error:
        return failures.of_error(error)
    return None


async def compared_by(backend: Backend, evaluation: Evaluation, audit: Audit) -> Compared:
    """Return the records that an evaluation compares. They can't be deleted while it exists."""
    resources = backend.resources
    return Compared(
        baseline=await resources.fetch(Classifier, evaluation.baseline),
        candidate=await resources.fetch(Classifier, evaluation.candidate),
        vae=await resources.fetch(Vae, audit.vae),
        dataset=await resources.fetch(Dataset, audit.dataset),
    )


def _failure_of(audit: Audit) -> Failure | None:
    """Return why the evaluation fails, or None if the audit has succeeded."""
    if audit.state == JobState.JOB_STATE_SUCCEEDED:
        return None
    if audit.state == JobState.JOB_STATE_CANCELLED:
        reason: Any = ERROR_REASON_WRONG_STATE
        said = "was cancelled: nothing was decided. Evaluate again to start another audit"
    else:
        reason = audit.failure.reason
        said = f"failed, and nothing was decided: {audit.failure.message}"
    return Failure(
        reason=reason,
        message=f"{audit.name}, which this evaluation waited for, {said}",
        figures={**audit.failure.figures, "audit": audit.name},
    )
