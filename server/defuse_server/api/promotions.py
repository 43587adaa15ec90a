"""PromotionService."""

from contextlib import aclosing
from typing import cast

from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import (
    CancelEvaluationRequest,
    CreateEvaluationRequest,
    Evaluation,
    GetEvaluationRequest,
    ListEvaluationsRequest,
    ListEvaluationsResponse,
    WatchEvaluationRequest,
    WatchEvaluationResponse,
)
from defuse.v1.registry_service_pb2 import Classifier, Dataset

from defuse_server import fit, label_use, names
from defuse_server.api import configs, validation
from defuse_server.api.creation import started
from defuse_server.api.lookup import check_name, found, ready, succeeded
from defuse_server.api.rpc import Write
from defuse_server.api.validation import Violations
from defuse_server.backend import Backend


class PromotionService:
    """Judges candidates; see promotion_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resources = backend.resources

    async def create_evaluation(self, request: CreateEvaluationRequest) -> Evaluation:
        """Makes an evaluation with the labels as they are now."""
        _check_create(request)
        baseline = await ready(self._resources, Classifier, request.baseline, "baseline")
        candidate = await ready(self._resources, Classifier, request.candidate, "candidate")
        audit = await succeeded(self._resources, request.audit, "audit")
        dataset = await found(self._resources, Dataset, audit.dataset)
        fit.audit_is_of(audit, baseline)
        fit.candidate_fits(baseline, candidate, dataset)
        labels = await label_use.for_evaluation(self._backend, audit.name)
        evaluation = Evaluation(
            display_name=request.display_name,
            baseline=baseline.name,
            candidate=candidate.name,
            audit=audit.name,
            config=request.config,
            baseline_sha256=names.artifact_sha256(baseline.artifact),
            candidate_sha256=names.artifact_sha256(candidate.artifact),
            dataset_sha256=names.artifact_sha256(dataset.artifact),
            label_set_digest=labels.digest,
            regions_artifact=labels.regions_artifact,
        )
        references = [baseline.name, candidate.name, audit.name]
        return await started(self._backend, evaluation, request, request.request_id, references)

    async def get_evaluation(self, request: GetEvaluationRequest) -> Evaluation:
        """An evaluation as it stands."""
        return await found(self._resources, Evaluation, request.name)

    async def list_evaluations(self, request: ListEvaluationsRequest) -> ListEvaluationsResponse:
        """A page of evaluations, newest first."""
        validation.check_state(request.state, JobState)
        evaluations, token = await self._resources.list(
            Evaluation, request.page_size, request.page_token, request.state
        )
        return ListEvaluationsResponse(evaluations=evaluations, next_page_token=token)

    async def watch_evaluation(self, request: WatchEvaluationRequest, write: Write) -> None:
        """The evaluation whenever it changes."""
        check_name(Evaluation, request.name)
        async with aclosing(self._resources.watch(request.name, request.cursor)) as changes:
            async for evaluation, cursor in changes:
                await write(WatchEvaluationResponse(evaluation=cast("Evaluation", evaluation), cursor=cursor))

    async def cancel_evaluation(self, request: CancelEvaluationRequest) -> Evaluation:
        """Asks an evaluation to stop."""
        check_name(Evaluation, request.name)
        return cast("Evaluation", await self._backend.jobs.cancel(request.name))


def _check_create(request: CreateEvaluationRequest) -> None:
    violations = Violations()
    validation.creation(violations, request)
    validation.name(violations, "baseline", request.baseline, "classifiers")
    validation.name(violations, "candidate", request.candidate, "classifiers")
    validation.name(violations, "audit", request.audit, "audits")
    configs.evaluation_config(violations, request.config)
    violations.check()
