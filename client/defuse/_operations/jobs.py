"""What all jobs have in common: they are started, watched, waited for and cancelled."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from defuse._calls.flows import create, each, unary
from defuse._calls.request_fields import Named, name_of
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow, StreamFlow
from defuse._operations.resources import AUDITS, CORRECTIONS, EVALUATIONS, VAE_TRAININGS, Kind
from defuse.errors import ArgumentError, Internal, Job, JobCancelled, JobFailed
from defuse.messages import Audit, Correction, Evaluation, JobState, VaeTraining

FINAL_STATES = frozenset(
    {JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}
)

J = TypeVar("J", Audit, Correction, Evaluation, VaeTraining)
OnUpdate = Callable[[Job], None]

_KINDS: dict[str, Kind[Any, JobState]] = {
    "audits": AUDITS,
    "corrections": CORRECTIONS,
    "evaluations": EVALUATIONS,
    "vaeTrainings": VAE_TRAININGS,
}


def _kind(name: str) -> Kind[Any, JobState]:
    kind = _KINDS.get(name.partition("/")[0])
    if kind is None:
        raise ArgumentError(
            f"expected audits/..., corrections/..., evaluations/... or vaeTrainings/..., got {name!r}"
        )
    return kind


def start_job(
    request: Message,
    job: type[J],
    wait_for_it: bool,
    on_update: OnUpdate | None,
    timeout_s: float | None,
) -> Flow[J]:
    """Create a job and return it; with `wait_for_it`, return it once it has SUCCEEDED, as `wait` does."""
    started = yield from create(request, job, timeout_s)
    if not wait_for_it:
        return started
    return cast(J, (yield from wait(started, on_update=on_update, timeout_s=timeout_s)))


def watch(
    job: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S, within_s: float | None = None
) -> StreamFlow[Job]:
    """Yield a job as it stands, and again whenever it changes, until it has ended.

    Restarts of the server that take less than `timeout_s` are survived. `within_s` bounds the whole watch
    with `DeadlineExceeded`. Raises `NotFound`, or `ArgumentError` for a name that is not a job's.
    """
    name = name_of(job)
    kind = _kind(name)
    return kind.watch(name, timeout_s=timeout_s, within_s=within_s)


def wait(
    job: Named,
    *,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    within_s: float | None = None,
) -> Flow[Job]:
    """Watch a job until it has SUCCEEDED, and return it.

    Raises `JobFailed`, `JobCancelled`, or `DeadlineExceeded` after `within_s`; the job then runs on.
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
    """Return a job that SUCCEEDED.

    Raises `JobFailed` or `JobCancelled`, or `Internal` if the job has not ended.
    """
    if job is None or job.state not in FINAL_STATES:
        raise Internal(f"the server ended the watch of {name} before the job ended; watch it again")
    if job.state == JobState.JOB_STATE_FAILED:
        raise JobFailed(job)
    if job.state == JobState.JOB_STATE_CANCELLED:
        raise JobCancelled(job)
    return job


def cancel(job: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Job]:
    """Ask a job to stop and return it as it stands: CANCELLING, or as it ended. Raises `NotFound`."""
    name = name_of(job)
    kind = _kind(name)
    request = kind.message("Cancel", "Request")(name=name)
    return (yield from unary(request, kind.resource, timeout_s))
