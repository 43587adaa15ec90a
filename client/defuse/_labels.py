"""Labeling regions."""

from __future__ import annotations

from datetime import UTC, datetime

from defuse._flow import DEFAULT_TIMEOUT_S, Flow, StreamFlow, paged, unary
from defuse._requests import Named, duration, enum_value, name_of
from defuse.v1.audit_service_pb2 import RegionState
from defuse.v1.label_service_pb2 import (
    ExtendLeaseRequest,
    ExtendLeaseResponse,
    GetLabelingProgressRequest,
    GetLabelingReportRequest,
    LabelAnswer,
    LabelingProgress,
    LabelingReport,
    LabelTask,
    LabelVerdict,
    LeaseLabelTasksRequest,
    LeaseLabelTasksResponse,
    ListLabelTasksRequest,
    ListLabelTasksResponse,
    ReleaseLabelTaskRequest,
    ReleaseLabelTaskResponse,
    SkipLabelTaskRequest,
    SkipLabelTaskResponse,
    SubmitLabelRequest,
    SubmitLabelResponse,
    UndoLabelRequest,
    UndoLabelResponse,
)


def lease_tasks(
    audit: Named,
    annotator: str,
    *,
    max_tasks: int = 1,
    lease_s: float | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[list[LabelTask]]:
    """Lease tasks to look at, the worst first; an empty list when nothing is left for this annotator.

    Each carries a token that the other calls show, good for `lease_s` seconds (5 minutes). Raises NotFound.
    """
    request = LeaseLabelTasksRequest(
        audit=name_of(audit), annotator=annotator, max_tasks=max_tasks, lease=duration(lease_s)
    )
    answer = yield from unary("LabelService/LeaseLabelTasks", request, LeaseLabelTasksResponse, timeout_s)
    return list(answer.tasks)


def extend_lease(
    task: LabelTask, *, lease_s: float | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[datetime]:
    """Prolong a task's lease, from now; return when it ends. Raises FailedPrecondition for a lost lease."""
    request = ExtendLeaseRequest(region=task.region, lease_token=task.lease_token, lease=duration(lease_s))
    answer = yield from unary("LabelService/ExtendLease", request, ExtendLeaseResponse, timeout_s)
    return answer.lease_expire_time.ToDatetime(tzinfo=UTC)


def submit_label(
    task: LabelTask,
    answer: int | str,
    *,
    note: str = "",
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[SubmitLabelResponse]:
    """Answer a task with a class's number, or with `mixed`, `invalid` or `cannot_tell`.

    Raises FailedPrecondition for a lost lease, InvalidArgument for a number that is no class.
    """
    request = SubmitLabelRequest(
        region=task.region, lease_token=task.lease_token, answer=_answer(answer), note=note
    )
    return unary("LabelService/SubmitLabel", request, SubmitLabelResponse, timeout_s)


def _answer(answer: int | str) -> LabelAnswer:
    if isinstance(answer, str):
        return LabelAnswer(verdict=enum_value(LabelVerdict, "LABEL_VERDICT_", answer))
    return LabelAnswer(label=answer)


def undo_label(
    region: Named, annotator: str, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[UndoLabelResponse]:
    """Take an annotator's answer back. Raises FailedPrecondition once others or a correction rely on it."""
    request = UndoLabelRequest(region=name_of(region), annotator=annotator)
    return unary("LabelService/UndoLabel", request, UndoLabelResponse, timeout_s)


def release_task(
    task: LabelTask, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[ReleaseLabelTaskResponse]:
    """Give a task back unanswered. Raises FailedPrecondition for a lost lease."""
    request = ReleaseLabelTaskRequest(region=task.region, lease_token=task.lease_token)
    return unary("LabelService/ReleaseLabelTask", request, ReleaseLabelTaskResponse, timeout_s)


def skip_task(
    task: LabelTask, reason: str = "", *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[SkipLabelTaskResponse]:
    """Give a task back for good: its annotator does not get it again. Raises FailedPrecondition."""
    request = SkipLabelTaskRequest(region=task.region, lease_token=task.lease_token, reason=reason)
    return unary("LabelService/SkipLabelTask", request, SkipLabelTaskResponse, timeout_s)


def list_tasks(
    audit: Named,
    *,
    state: RegionState | str | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> StreamFlow[LabelTask]:
    """Hand out the tasks of an audit as they stand, without their tokens. Raises NotFound."""
    name = name_of(audit)
    wanted = enum_value(RegionState, "REGION_STATE_", state)
    return paged(
        "LabelService/ListLabelTasks",
        lambda token: ListLabelTasksRequest(audit=name, page_token=token, state=wanted),
        ListLabelTasksResponse,
        lambda page: page.tasks,
        timeout_s,
    )


def get_labeling_progress(
    audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[LabelingProgress]:
    """Count an audit's regions by state. Raises NotFound."""
    request = GetLabelingProgressRequest(audit=name_of(audit))
    return unary("LabelService/GetLabelingProgress", request, LabelingProgress, timeout_s)


def get_labeling_report(audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[LabelingReport]:
    """Say how far labels can be trusted: agreement, annotators' records, skips. Raises NotFound."""
    request = GetLabelingReportRequest(audit=name_of(audit))
    return unary("LabelService/GetLabelingReport", request, LabelingReport, timeout_s)
