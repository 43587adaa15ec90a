"""PromotionService."""

import asyncio
from collections.abc import Callable

from defuse.v1 import promotion_service_pb2 as pb
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server import names, validation
from defuse_server.api import compatibility, configs
from defuse_server.api.creation import create_with_job, created_before, requested
from defuse_server.api.lookup import find, find_ready, find_succeeded_audit
from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest
from defuse_server.evaluations import choose_audit
from defuse_server.evaluations.freezing import fill_in_asked, freeze
from defuse_server.evaluations.input_digest import Compared, waiting_digest
from defuse_server.evaluations.wait_for_audit import settle
from defuse_server.gate.policy import Policy
from defuse_server.records.creation import MadeOf
from defuse_server.records.record import awaits_audit
from defuse_server.validation import Violations


class PromotionService:
    """Evaluates candidates for promotion; see promotion_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resources = backend.resources

    async def create_evaluation(self, request: pb.CreateEvaluationRequest) -> pb.Evaluation:
        """Create an evaluation, or answer with one of the same inputs."""
        _check_create(request)
        # On a thread: the longest policy keeps a core busy for half a second.
        policy = await asyncio.to_thread(Policy.parse, request.policy)
        # Before anything is made: a repeated request must not start another audit.
        if before := await created_before(self._backend, pb.Evaluation, request):
            return before
        baseline = await find_ready(self._resources, Classifier, request.baseline, "baseline")
        candidate = await find_ready(self._resources, Classifier, request.candidate, "candidate")
        if request.candidate_sha256:
            compatibility.same_bytes(candidate, request.candidate_sha256)
        correction = await self._correction_of(request, candidate)
        if named := correction.audit if correction else request.audit:
            audit, vae, dataset = await self._named_audit(named, baseline)
        else:
            audit, (vae, dataset) = None, await self._to_audit_with(request, baseline)
        compatibility.candidate_fits(baseline, candidate, dataset)
        compared = Compared(baseline, candidate, vae, dataset)
        if audit is None:
            # First the evaluations that waited: one of them may be the answer from now on.
            await settle(self._backend)
            audit = await choose_audit.newest_fresh_audit(self._backend, compared, policy)
        evaluation = pb.Evaluation(display_name=request.display_name, config=request.config)
        fill_in_asked(evaluation, compared, policy)
        if audit is None:
            made_of = await self._wait_for_audit(evaluation, compared, policy)
        else:
            await freeze(self._backend, evaluation, compared, audit, correction)
            made_of = MadeOf[pb.Evaluation](evaluation.input_digest, _of_same_inputs(evaluation))
        references = [baseline.name, candidate.name, evaluation.audit]
        new = requested(evaluation, request, references=references, made_of=made_of)
        return await create_with_job(self._backend, new)

    async def _correction_of(
        self, request: pb.CreateEvaluationRequest, candidate: Classifier
    ) -> Correction | None:
        """Return the correction whose labels the request asks for, or None for the latest labels."""
        if request.labels != pb.LABEL_CHOICE_FROZEN:
            return None
        compatibility.has_frozen_labels(candidate, request.audit)
        return await find(self._resources, Correction, candidate.lineage.correction)

    async def _named_audit(self, name: str, baseline: Classifier) -> tuple[Audit, Vae, Dataset]:
        """Return an audit of the baseline, with its VAE and dataset."""
        audit = await find_succeeded_audit(self._resources, name, "audit")
        compatibility.audit_is_of(audit, await find(self._resources, Classifier, audit.classifier), baseline)
        vae = await find(self._resources, Vae, audit.vae)
        return audit, vae, await find(self._resources, Dataset, audit.dataset)

    async def _to_audit_with(
        self, request: pb.CreateEvaluationRequest, baseline: Classifier
    ) -> tuple[Vae, Dataset]:
        """Return the VAE and dataset to audit with: the named ones, or those of the baseline's last audit."""
        vae_name, dataset_name = request.vae, request.dataset
        if not vae_name:
            audit = await choose_audit.last_audit(self._backend, baseline)
            if audit is None:
                raise _never_audited(baseline)
            vae_name, dataset_name = audit.vae, audit.dataset
        vae = await find_ready(self._resources, Vae, vae_name, "vae")
        dataset = await find_ready(self._resources, Dataset, dataset_name, "dataset")
        compatibility.audit_fits(baseline, vae, dataset)
        return vae, dataset

    async def _wait_for_audit(
        self, evaluation: pb.Evaluation, compared: Compared, policy: Policy
    ) -> MadeOf[pb.Evaluation]:
        audit = await choose_audit.start_or_join_audit(
            self._backend, compared, policy, evaluation.config.device
        )
        evaluation.audit, evaluation.audit_created = audit.name, True
        return MadeOf(waiting_digest(evaluation, compared), awaits_audit)


def _of_same_inputs(evaluation: pb.Evaluation) -> Callable[[pb.Evaluation], bool]:
    """Compare the inputs again: a worker of another version may have changed those of the other."""
    return lambda other: other.input_digest == evaluation.input_digest


def _check_audited(violations: Violations, request: pb.CreateEvaluationRequest) -> None:
    """Require an audit, or a VAE and a dataset for one, or nothing."""
    if request.audit:
        validation.name(violations, "audit", request.audit, "audits")
        for field in ("vae", "dataset"):
            violations.require(
                not getattr(request, field),
                field,
                "expected none beside an audit, which has its own: leave out either",
            )
    elif request.vae or request.dataset:
        validation.name(violations, "vae", request.vae, "vaes")
        validation.name(violations, "dataset", request.dataset, "datasets")


def _never_audited(baseline: Classifier) -> InvalidRequest:
    message = (
        f"expected an audit, or a VAE and a dataset, got neither; and {baseline.name} has no audit that "
        "succeeded, whose VAE and dataset could be used"
    )
    return InvalidRequest([("audit", message)])


def _check_create(request: pb.CreateEvaluationRequest) -> None:
    with Violations() as violations:
        validation.creation(violations, request)
        validation.name(violations, "baseline", request.baseline, "classifiers")
        validation.name(violations, "candidate", request.candidate, "classifiers")
        _check_audited(violations, request)
        violations.require(
            not request.candidate_sha256 or names.is_sha256(request.candidate_sha256),
            "candidate_sha256",
            f"expected a SHA-256 in lower-case hexadecimal, got {request.candidate_sha256[:100]!r}",
        )
        validation.member(violations, "labels", request.labels, pb.LabelChoice)
        violations.require(
            request.labels != pb.LABEL_CHOICE_FROZEN or not (request.vae or request.dataset),
            "labels",
            "expected LABEL_CHOICE_LATEST beside a VAE and a dataset: frozen labels belong to one audit",
        )
        configs.job_config(violations, request.config)
