"""PromotionService."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import cast

from defuse.v1.audit_service_pb2 import Audit
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
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server import names, validation
from defuse_server.api import compatibility, configs
from defuse_server.api.creation import repeated, started
from defuse_server.api.lookup import check_name, found, ready, succeeded
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest
from defuse_server.evaluations import audits
from defuse_server.evaluations.awaiting import settle
from defuse_server.evaluations.freezing import fill_in_asked, freeze
from defuse_server.evaluations.inputs import Compared, waiting_digest
from defuse_server.gate.policy import Policy
from defuse_server.records.record import awaits_audit
from defuse_server.records.resources import MadeOf
from defuse_server.validation import Violations

_SEEDS = (
    "seed_candidates_before",
    "seed_candidates_after",
    "seed_misclassifications_before",
    "seed_misclassifications_after",
)


class PromotionService:
    """Judges candidates; see promotion_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resources = backend.resources

    async def create_evaluation(self, request: CreateEvaluationRequest) -> Evaluation:
        """Makes an evaluation, or answers with one of the same inputs."""
        _check_create(request)
        # In a thread: the longest policy keeps a core busy for half a second.
        policy = await asyncio.to_thread(Policy.parse, request.policy)
        # Before anything is made: a repeated request must not start another audit.
        if before := await repeated(self._backend, Evaluation, request, request.request_id):
            return before
        baseline = await ready(self._resources, Classifier, request.baseline, "baseline")
        candidate = await ready(self._resources, Classifier, request.candidate, "candidate")
        if request.candidate_sha256:
            compatibility.same_bytes(candidate, request.candidate_sha256)
        if request.audit:
            audit, vae, dataset = await self._given(request, baseline)
        else:
            audit, (vae, dataset) = None, await self._over(request, baseline)
        compatibility.candidate_fits(baseline, candidate, dataset)
        compared = Compared(baseline, candidate, vae, dataset)
        if audit is None:
            # First those that waited: what they are judged by from now on may be what is asked here.
            await settle(self._backend)
            audit = await audits.newest_valid(self._backend, compared, policy)
        evaluation = Evaluation(display_name=request.display_name, config=request.config)
        fill_in_asked(evaluation, compared, policy)
        if audit is None:
            made_of = await self._wait_for_audit(evaluation, compared, policy)
        else:
            await freeze(self._backend, evaluation, compared, audit)
            made_of = MadeOf[Evaluation](evaluation.input_digest, _stands_for(evaluation))
        references = [baseline.name, candidate.name, evaluation.audit]
        return await started(
            self._backend, evaluation, request, request.request_id, references, made_of=made_of
        )

    async def _given(
        self, request: CreateEvaluationRequest, baseline: Classifier
    ) -> tuple[Audit, Vae, Dataset]:
        """The audit that the request names, with its VAE and dataset."""
        audit = await succeeded(self._resources, request.audit, "audit")
        compatibility.audit_is_of(audit, await found(self._resources, Classifier, audit.classifier), baseline)
        vae = await found(self._resources, Vae, audit.vae)
        return audit, vae, await found(self._resources, Dataset, audit.dataset)

    async def _over(self, request: CreateEvaluationRequest, baseline: Classifier) -> tuple[Vae, Dataset]:
        """What the baseline can be audited over; where nothing is named, what it was audited over last."""
        vae_name, dataset_name = request.vae, request.dataset
        if not vae_name:
            audit = await audits.last(self._backend, baseline)
            if audit is None:
                raise _never_audited(baseline)
            vae_name, dataset_name = audit.vae, audit.dataset
        vae = await ready(self._resources, Vae, vae_name, "vae")
        dataset = await ready(self._resources, Dataset, dataset_name, "dataset")
        compatibility.audit_fits(baseline, vae, dataset)
        return vae, dataset

    async def _wait_for_audit(
        self, evaluation: Evaluation, compared: Compared, policy: Policy
    ) -> MadeOf[Evaluation]:
        audit = await audits.joined(self._backend, compared, policy, evaluation.config.device)
        evaluation.audit, evaluation.audit_created = audit.name, True
        return MadeOf(waiting_digest(evaluation, compared), awaits_audit)

    async def get_evaluation(self, request: GetEvaluationRequest) -> Evaluation:
        """An evaluation as it stands."""
        return await found(self._resources, Evaluation, request.name)

    async def list_evaluations(self, request: ListEvaluationsRequest) -> ListEvaluationsResponse:
        """A page of evaluations, newest first."""
        validation.check_state(request.state, JobState)
        evaluations, token = await self._resources.list(
            Evaluation, request.page_size, request.page_token, request.state
        )
        for evaluation in evaluations:
            _clear_details(evaluation)
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


def _clear_details(evaluation: Evaluation) -> None:
    """A page of evaluations with a check for each region would not fit into a message."""
    for field in ("checks", "classes", "regions"):
        evaluation.ClearField(field)
    if evaluation.HasField("second_search"):
        for field in _SEEDS:
            evaluation.second_search.ClearField(field)


def _stands_for(evaluation: Evaluation) -> Callable[[Evaluation], bool]:
    """Whether another is judged by the same inputs: workers of another version may have changed its code."""
    return lambda other: other.input_digest == evaluation.input_digest


def _check_create(request: CreateEvaluationRequest) -> None:
    violations = Violations()
    validation.creation(violations, request)
    validation.name(violations, "baseline", request.baseline, "classifiers")
    validation.name(violations, "candidate", request.candidate, "classifiers")
    _check_evidence(violations, request)
    violations.require(
        not request.candidate_sha256 or names.is_sha256(request.candidate_sha256),
        "candidate_sha256",
        f"expected a SHA-256 in lower-case hexadecimal, got {request.candidate_sha256[:100]!r}",
    )
    configs.job_config(violations, request.config)
    violations.check()


def _check_evidence(violations: Violations, request: CreateEvaluationRequest) -> None:
    """Either an audit, or what one can be made over."""
    if request.audit:
        validation.name(violations, "audit", request.audit, "audits")
        for field in ("vae", "dataset"):
            violations.require(
                not getattr(request, field),
                field,
                "expected nothing beside an audit, which has its own; leave either out",
            )
    elif request.vae or request.dataset:
        validation.name(violations, "vae", request.vae, "vaes")
        validation.name(violations, "dataset", request.dataset, "datasets")


def _never_audited(baseline: Classifier) -> InvalidRequest:
    message = (
        f"expected an audit, or a VAE and a dataset: {baseline.name} has no audit that succeeded, whose VAE "
        "and dataset could be taken"
    )
    return InvalidRequest([("audit", message)])
