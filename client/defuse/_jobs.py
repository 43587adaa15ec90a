"""What all jobs have in common: they are watched, waited for and cancelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from defuse._flow import DEFAULT_TIMEOUT_S, Flow, StreamFlow, each, resumed, unary
from defuse._requests import Named, name_of
from defuse.errors import ArgumentError, Internal, Job, JobCancelled, JobFailed
from defuse.v1.audit_service_pb2 import Audit, CancelAuditRequest, WatchAuditRequest, WatchAuditResponse
from defuse.v1.correction_service_pb2 import (
    CancelCorrectionRequest,
    Correction,
    WatchCorrectionRequest,
    WatchCorrectionResponse,
)
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import (
    CancelEvaluationRequest,
    Evaluation,
    WatchEvaluationRequest,
    WatchEvaluationResponse,
)
from defuse.v1.registry_service_pb2 import (
    CancelVaeTrainingRequest,
    VaeTraining,
    WatchVaeTrainingRequest,
    WatchVaeTrainingResponse,
)

FINAL_STATES = frozenset(
    {JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}
)

J = TypeVar("J", Audit, Correction, Evaluation, VaeTraining)
OnUpdate = Callable[[Job], None]


@dataclass(frozen=True)
class _Kind:
    service: str
    field: str
    """Name of the job in the messages of its watch."""
    job: type[Job]
    watch: type[Message]
    watched: type[Message]
    cancel: type[Message]


_KINDS = {
    "audits": _Kind(
        "AuditService", "audit", Audit, WatchAuditRequest, WatchAuditResponse, CancelAuditRequest
    ),
    "corrections": _Kind(
        "CorrectionService",
        "correction",
        Correction,
        WatchCorrectionRequest,
        WatchCorrectionResponse,
        CancelCorrectionRequest,
    ),
    "evaluations": _Kind(
        "PromotionService",
        "evaluation",
        Evaluation,
        WatchEvaluationRequest,
        WatchEvaluationResponse,
        CancelEvaluationRequest,
    ),
    "vaeTrainings": _Kind(
        "RegistryService",
        "vae_training",
        VaeTraining,
        WatchVaeTrainingRequest,
        WatchVaeTrainingResponse,
        CancelVaeTrainingRequest,
    ),
}


def _kind(name: str) -> _Kind:
    kind = _KINDS.get(name.partition("/")[0])
    if kind is None:
        raise ArgumentError(
            f"expected audits/..., corrections/..., evaluations/... or vaeTrainings/..., got {name!r}"
        )
    return kind


def watch(
    job: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S, within_s: float | None = None
) -> StreamFlow[Job]:
    """Hand out a job whenever it changes, the present state first, until it has ended.

    Survives restarts of the server that take less than `timeout_s`. `within_s` bounds the whole watch with
    DeadlineExceeded. Raises NotFound, ArgumentError for a name that is no job's.
    """
    name = name_of(job)
    kind = _kind(name)
    request = cast(Any, kind.watch)
    return resumed(
        f"{kind.service}/Watch{kind.job.DESCRIPTOR.name}",
        lambda cursor: request(name=name, cursor=cursor),
        kind.watched,
        lambda message: [getattr(message, kind.field)],
        cursor="",
        timeout_s=timeout_s,
        within_s=within_s,
    )


def wait(
    job: Named,
    *,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    within_s: float | None = None,
) -> Flow[Job]:
    """Watch a job until it has SUCCEEDED, and return it.

    Raises JobFailed, JobCancelled, and DeadlineExceeded when `within_s` is over; the job runs on then.
    """
    last: Job | None = None

    def update(seen: Job) -> None:
        nonlocal last
        last = seen
        if on_update is not None:
            on_update(seen)

    yield from each(watch(job, timeout_s=timeout_s, within_s=within_s), update)
    return ended_well(last, name_of(job))


def ended_well(job: Job | None, name: str) -> Job:
    """Return a job that SUCCEEDED. Raises JobFailed or JobCancelled; Internal for one that has not ended."""
    if job is None or job.state not in FINAL_STATES:
        raise Internal(f"the server ended the watch of {name} before the job ended; watch it again")
    if job.state == JobState.JOB_STATE_FAILED:
        raise JobFailed(job)
    if job.state == JobState.JOB_STATE_CANCELLED:
        raise JobCancelled(job)
    return job


def done(job: J, *, on_update: OnUpdate | None, timeout_s: float | None) -> Flow[J]:
    """Wait for a job that was just made."""
    return cast(J, (yield from wait(job, on_update=on_update, timeout_s=timeout_s)))


def cancel(job: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Job]:
    """Ask a job to stop, and return it as it stands: CANCELLING, or as it ended. Raises NotFound."""
    name = name_of(job)
    kind = _kind(name)
    request = cast(Any, kind.cancel)(name=name)
    answer = yield from unary(
        f"{kind.service}/Cancel{kind.job.DESCRIPTOR.name}", request, cast(type[Message], kind.job), timeout_s
    )
    return cast(Job, answer)
