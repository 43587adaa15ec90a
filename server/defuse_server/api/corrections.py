"""CorrectionService."""

from defuse.v1 import correction_service_pb2 as pb
from defuse.v1.registry_service_pb2 import Classifier

from defuse_server import validation
from defuse_server.api import compatibility, configs
from defuse_server.api.creation import as_requested, create_with_job, requested
from defuse_server.api.lookup import find, find_succeeded_audit
from defuse_server.backend import Backend
from defuse_server.evaluations import frozen_labels
from defuse_server.validation import Violations


class CorrectionService:
    """Fine-tunes classifiers on labeled regions; see correction_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resources = backend.resources

    async def create_correction(self, request: pb.CreateCorrectionRequest) -> pb.Correction:
        """Create a correction with the labels as they are now."""
        with Violations() as violations:
            validation.creation(violations, request)
            validation.name(violations, "audit", request.audit, "audits")
            configs.job_config(violations, request.config)
            validation.member(violations, "proposals", request.proposals, pb.ProposalUse)
        audit = await find_succeeded_audit(self._resources, request.audit, "audit")
        compatibility.check_differentiable(await find(self._resources, Classifier, audit.classifier))
        labels = await frozen_labels.for_correction(
            self._backend,
            audit.name,
            with_proposals=request.proposals != pb.ProposalUse.PROPOSAL_USE_OFF,
        )
        correction = as_requested(pb.Correction, request)
        correction.label_set_digest = labels.digest
        correction.regions_artifact = labels.regions_artifact
        correction.labeled_region_count = labels.labeled_region_count
        correction.confirmed_region_count = labels.confirmed_region_count
        correction.labeling.CopyFrom(labels.figures)
        correction.proposal_region_count = labels.proposal_region_count
        return await create_with_job(self._backend, requested(correction, request, references=[audit.name]))
