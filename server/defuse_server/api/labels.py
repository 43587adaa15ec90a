"""LabelService."""

from collections.abc import AsyncIterator
from typing import Any, Final

from defuse.v1 import label_service_pb2 as pb
from defuse.v1.audit_service_pb2 import RegionState

from defuse_server import names, validation
from defuse_server.access.caller import CALLER
from defuse_server.api import label_files
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.validation import ANNOTATOR_CHARACTERS, NOTE_CHARACTERS, Violations

TASKS_MAX: Final = 100


class LabelService:
    """Leases label tasks to annotators and collects their answers; see label_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._labels = backend.labels
        self._labeling = backend.labeling

    async def lease_label_tasks(self, request: pb.LeaseLabelTasksRequest) -> pb.LeaseLabelTasksResponse:
        """Lease tasks, those first that repair most."""
        annotator = CALLER.get().annotator(request.annotator)
        with Violations() as violations:
            validation.name(violations, "audit", request.audit, "audits")
            validation.text(violations, "annotator", annotator, ANNOTATOR_CHARACTERS, least=1)
            validation.between(violations, "max_tasks", request.max_tasks, 1, TASKS_MAX)
            lease_s = validation.lease_s(violations, request)
        tasks = await self._labels.lease(
            request.audit,
            annotator,
            request.max_tasks or 1,
            lease_s,
            hand_back_held=request.hand_back_held,
        )
        return pb.LeaseLabelTasksResponse(tasks=tasks)

    async def extend_lease(self, request: pb.ExtendLeaseRequest) -> pb.ExtendLeaseResponse:
        """Extend a lease from now."""
        violations = _leased(request)
        lease_s = validation.lease_s(violations, request)
        violations.check()
        response = pb.ExtendLeaseResponse()
        response.lease_expire_time.FromDatetime(
            await self._labels.extend(request.region, request.lease_token, lease_s)
        )
        return response

    async def submit_label(self, request: pb.SubmitLabelRequest) -> pb.SubmitLabelResponse:
        """Count an annotator's answer."""
        violations = _leased(request)
        _check_answer(violations, request.answer)
        validation.text(violations, "note", request.note, NOTE_CHARACTERS)
        violations.check()
        return await self._labels.submit(request.region, request.lease_token, request.answer, request.note)

    async def undo_label(self, request: pb.UndoLabelRequest) -> pb.UndoLabelResponse:
        """Take an annotator's answer back."""
        annotator = CALLER.get().annotator(request.annotator)
        with Violations() as violations:
            validation.task_name(violations, "region", request.region)
            validation.text(violations, "annotator", annotator, ANNOTATOR_CHARACTERS, least=1)
        return pb.UndoLabelResponse(state=await self._labels.undo(request.region, annotator))

    async def release_label_task(self, request: pb.ReleaseLabelTaskRequest) -> pb.ReleaseLabelTaskResponse:
        """Give a task back unanswered."""
        _leased(request).check()
        return pb.ReleaseLabelTaskResponse(
            state=await self._labels.release(request.region, request.lease_token)
        )

    async def skip_label_task(self, request: pb.SkipLabelTaskRequest) -> pb.SkipLabelTaskResponse:
        """Give a task back for good."""
        violations = _leased(request)
        validation.text(violations, "reason", request.reason, NOTE_CHARACTERS)
        violations.check()
        state = await self._labels.skip(request.region, request.lease_token, request.reason)
        return pb.SkipLabelTaskResponse(state=state)

    async def list_label_tasks(self, request: pb.ListLabelTasksRequest) -> pb.ListLabelTasksResponse:
        """Return a page of an audit's tasks, without lease tokens."""
        names.audit_id(request.audit, "audit")
        validation.check_state(request.state, RegionState)
        tasks, token = await self._labeling.list(
            request.audit, request.page_size, request.page_token, request.state
        )
        return pb.ListLabelTasksResponse(tasks=tasks, next_page_token=token)

    async def get_labeling_progress(self, request: pb.GetLabelingProgressRequest) -> pb.LabelingProgress:
        """Count an audit's regions by state."""
        names.audit_id(request.audit, "audit")
        return await self._labeling.progress(request.audit)

    async def get_labeling_report(self, request: pb.GetLabelingReportRequest) -> pb.LabelingReport:
        """Return the annotators' agreement, records and skips."""
        names.audit_id(request.audit, "audit")
        return await self._labeling.report(request.audit)

    async def export_label_tasks(self, request: pb.ExportLabelTasksRequest, write: Write) -> None:
        """Stream an audit's tasks as a file for another tool."""
        await label_files.export(self._backend, request, write)

    async def import_labels(self, requests: AsyncIterator[pb.ImportLabelsRequest]) -> pb.ImportLabelsResponse:
        """Count the answers of a file."""
        return await label_files.import_labels(self._backend, requests)


def _leased(request: Any) -> Violations:
    """Check the region and the lease token, which every request about a leased task has."""
    violations = Violations()
    validation.task_name(violations, "region", request.region)
    violations.require(request.lease_token != "", "lease_token", "expected the task's token, got none")
    return violations


def _check_answer(violations: Violations, answer: pb.LabelAnswer) -> None:
    kind = answer.WhichOneof("answer")
    violations.require(kind is not None, "answer", "expected a label or a verdict, got neither")
    if kind == "verdict":
        validation.member(violations, "answer.verdict", answer.verdict, pb.LabelVerdict)
        violations.require(
            answer.verdict != pb.LabelVerdict.LABEL_VERDICT_UNSPECIFIED,
            "answer.verdict",
            "expected a verdict",
        )
