"""Labeling regions."""

from datetime import UTC, datetime

from defuse._calls.flows import paged, unary
from defuse._calls.request_fields import Named, duration, enum_value, name_of
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow, StreamFlow
from defuse.v1 import label_service_pb2 as pb
from defuse.v1.audit_service_pb2 import RegionState


def lease_tasks(
    audit: Named,
    annotator: str = "",
    *,
    max_tasks: int = 1,
    lease_s: float | None = None,
    hand_back_held: bool = False,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[list[pb.LabelTask]]:
    """Lease up to `max_tasks` tasks, those with the most misread inputs first.

    A caller with a token of its own is the annotator that the token names, and needs no `annotator`.
    Each task carries a token that the other calls show. It is good for `lease_s` seconds, by default 300. The
    list is empty when nothing is left for this annotator.

    With `hand_back_held`, the annotator first gives back all that they hold. Ask for it in the first call of
    a script: a run that crashed may have left tasks leased, which nobody gets before their leases end.
    Raises `NotFound`.
    """
    request = pb.LeaseLabelTasksRequest(
        audit=name_of(audit),
        annotator=annotator,
        max_tasks=max_tasks,
        lease=duration(lease_s),
        hand_back_held=hand_back_held,
    )
    answer = yield from unary(request, pb.LeaseLabelTasksResponse, timeout_s)
    return list(answer.tasks)


def extend_lease(
    task: pb.LabelTask, *, lease_s: float | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[datetime]:
    """Extend a task's lease from now on by `lease_s` and return when it ends.

    Raises `FailedPrecondition` if the lease is lost.
    """
    request = pb.ExtendLeaseRequest(region=task.region, lease_token=task.lease_token, lease=duration(lease_s))
    answer = yield from unary(request, pb.ExtendLeaseResponse, timeout_s)
    return answer.lease_expire_time.ToDatetime(tzinfo=UTC)


def submit_label(
    task: pb.LabelTask,
    answer: int | str,
    *,
    note: str = "",
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[pb.SubmitLabelResponse]:
    """Answer a task with a class's number, or with `mixed`, `invalid` or `cannot_tell`.

    Raises `FailedPrecondition` if the lease is lost, or `InvalidArgument` for a number that is not a class.
    """
    request = pb.SubmitLabelRequest(
        region=task.region, lease_token=task.lease_token, answer=_answer(answer), note=note
    )
    return unary(request, pb.SubmitLabelResponse, timeout_s)


def _answer(answer: int | str) -> pb.LabelAnswer:
    if isinstance(answer, str):
        return pb.LabelAnswer(verdict=enum_value(pb.LabelVerdict, answer))
    return pb.LabelAnswer(label=answer)


def undo_label(
    region: Named, annotator: str = "", *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[pb.UndoLabelResponse]:
    """Take an annotator's answer back.

    Raises `FailedPrecondition` once other annotators or a correction rely on it.
    """
    request = pb.UndoLabelRequest(region=name_of(region), annotator=annotator)
    return unary(request, pb.UndoLabelResponse, timeout_s)


def release_task(
    task: pb.LabelTask, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[pb.ReleaseLabelTaskResponse]:
    """Give a task back unanswered. Raises `FailedPrecondition` if the lease is lost."""
    request = pb.ReleaseLabelTaskRequest(region=task.region, lease_token=task.lease_token)
    return unary(request, pb.ReleaseLabelTaskResponse, timeout_s)


def skip_task(
    task: pb.LabelTask, reason: str = "", *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[pb.SkipLabelTaskResponse]:
    """Give a task back for good: its annotator does not get it again.

    Raises `FailedPrecondition` if the lease is lost.
    """
    request = pb.SkipLabelTaskRequest(region=task.region, lease_token=task.lease_token, reason=reason)
    return unary(request, pb.SkipLabelTaskResponse, timeout_s)


def list_tasks(
    audit: Named,
    *,
    state: RegionState | str | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> StreamFlow[pb.LabelTask]:
    """Yield the tasks of an audit as they stand, without their tokens. Raises `NotFound`."""
    request = pb.ListLabelTasksRequest(audit=name_of(audit), state=enum_value(RegionState, state))
    return paged(request, pb.ListLabelTasksResponse, lambda page: page.tasks, timeout_s)


def get_labeling_progress(
    audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[pb.LabelingProgress]:
    """Count an audit's regions by state. Raises `NotFound`."""
    request = pb.GetLabelingProgressRequest(audit=name_of(audit))
    return unary(request, pb.LabelingProgress, timeout_s)


def get_labeling_report(
    audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[pb.LabelingReport]:
    """Return how far labels can be trusted: agreement, annotators' records, skips. Raises `NotFound`."""
    request = pb.GetLabelingReportRequest(audit=name_of(audit))
    return unary(request, pb.LabelingReport, timeout_s)
