"""CorrectionService."""

from contextlib import aclosing
from typing import cast

from defuse.v1.correction_service_pb2 import (
    CancelCorrectionRequest,
    Correction,
    CreateCorrectionRequest,
    GetCorrectionRequest,
    ListCorrectionsRequest,
    ListCorrectionsResponse,
    WatchCorrectionRequest,
    WatchCorrectionResponse,
)
from defuse.v1.models_pb2 import JobState
from defuse.v1.registry_service_pb2 import Classifier

from defuse_server import validation
from defuse_server.api import compatibility, configs
from defuse_server.api.creation import started
from defuse_server.api.lookup import check_name, found, succeeded
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.evaluations import frozen_labels
from defuse_server.validation import Violations


class CorrectionService:
    """Fine-tunes classifiers on labeled regions; see correction_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resources = backend.resources

    async def create_correction(self, request: CreateCorrectionRequest) -> Correction:
        """Makes a correction with the labels as they are now."""
        _check_create(request)
        audit = await succeeded(self._resources, request.audit, "audit")
        compatibility.check_differentiable(await found(self._resources, Classifier, audit.classifier))
        labels = await frozen_labels.for_correction(self._backend, audit.name)
        correction = Correction(
            display_name=request.display_name,
            audit=audit.name,
            config=request.config,
            label_set_digest=labels.digest,
            regions_artifact=labels.regions_artifact,
            labeled_region_count=labels.labeled_region_count,
            confirmed_region_count=labels.confirmed_region_count,
        )
        return await started(self._backend, correction, request, request.request_id, [audit.name])

    async def get_correction(self, request: GetCorrectionRequest) -> Correction:
        """A correction as it stands."""
        return await found(self._resources, Correction, request.name)

    async def list_corrections(self, request: ListCorrectionsRequest) -> ListCorrectionsResponse:
        """A page of corrections, newest first."""
        validation.check_state(request.state, JobState)
        corrections, token = await self._resources.list(
            Correction, request.page_size, request.page_token, request.state
        )
        return ListCorrectionsResponse(corrections=corrections, next_page_token=token)

    async def watch_correction(self, request: WatchCorrectionRequest, write: Write) -> None:
        """The correction whenever it changes."""
        check_name(Correction, request.name)
        async with aclosing(self._resources.watch(request.name, request.cursor)) as changes:
            async for correction, cursor in changes:
                await write(WatchCorrectionResponse(correction=cast("Correction", correction), cursor=cursor))

    async def cancel_correction(self, request: CancelCorrectionRequest) -> Correction:
        """Asks a correction to stop."""
        check_name(Correction, request.name)
        return cast("Correction", await self._backend.jobs.cancel(request.name))


def _check_create(request: CreateCorrectionRequest) -> None:
    violations = Violations()
    validation.creation(violations, request)
    validation.name(violations, "audit", request.audit, "audits")
    configs.job_config(violations, request.config)
    violations.check()
