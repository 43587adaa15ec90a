"""AuditService."""

from contextlib import aclosing
from typing import cast

from defuse.v1.audit_service_pb2 import (
    Audit,
    CancelAuditRequest,
    CreateAuditRequest,
    DeleteAuditRequest,
    DeleteAuditResponse,
    GetAuditRequest,
    GetRegionRequest,
    GetRegionSplitRequest,
    ListAuditsRequest,
    ListAuditsResponse,
    ListRegionsRequest,
    ListRegionsResponse,
    Region,
    RegionSplit,
    RegionState,
    StreamMisclassificationsRequest,
    StreamRegionsRequest,
    WatchAuditRequest,
    WatchAuditResponse,
)
from defuse.v1.models_pb2 import JobState
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server import names, validation
from defuse_server.api import compatibility, configs, streams
from defuse_server.api.creation import started
from defuse_server.api.lookup import check_name, found, ready
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.evaluations.audits import indexes
from defuse_server.validation import Violations


class AuditService:
    """Audits and what they find; see audit_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resources = backend.resources
        self._regions = backend.regions

    async def create_audit(self, request: CreateAuditRequest) -> Audit:
        """Makes an audit of READY resources that fit together."""
        _check_create(request)
        classifier = await ready(self._resources, Classifier, request.classifier, "classifier")
        vae = await ready(self._resources, Vae, request.vae, "vae")
        dataset = await ready(self._resources, Dataset, request.dataset, "dataset")
        compatibility.audit_fits(classifier, vae, dataset)
        audit = Audit(
            display_name=request.display_name,
            classifier=classifier.name,
            vae=vae.name,
            dataset=dataset.name,
            config=request.config,
        )
        references = [classifier.name, vae.name, dataset.name]
        # Where an evaluation that names no audit looks for one.
        where = indexes(classifier, vae, dataset)
        return await started(self._backend, audit, request, request.request_id, references, indexes=where)

    async def get_audit(self, request: GetAuditRequest) -> Audit:
        """An audit as it stands."""
        return await found(self._resources, Audit, request.name)

    async def list_audits(self, request: ListAuditsRequest) -> ListAuditsResponse:
        """A page of audits, newest first."""
        validation.check_state(request.state, JobState)
        audits, token = await self._resources.list(
            Audit, request.page_size, request.page_token, request.state
        )
        return ListAuditsResponse(audits=audits, next_page_token=token)

    async def watch_audit(self, request: WatchAuditRequest, write: Write) -> None:
        """The audit whenever it changes."""
        check_name(Audit, request.name)
        async with aclosing(self._resources.watch(request.name, request.cursor)) as changes:
            async for audit, cursor in changes:
                await write(WatchAuditResponse(audit=cast("Audit", audit), cursor=cursor))

    async def cancel_audit(self, request: CancelAuditRequest) -> Audit:
        """Asks an audit to stop."""
        check_name(Audit, request.name)
        return cast("Audit", await self._backend.jobs.cancel(request.name))

    async def delete_audit(self, request: DeleteAuditRequest) -> DeleteAuditResponse:
        """Deletes an audit that has ended, with its regions and labels."""
        check_name(Audit, request.name)
        await self._resources.delete(request.name)
        return DeleteAuditResponse()

    async def stream_misclassifications(self, request: StreamMisclassificationsRequest, write: Write) -> None:
        """Misclassifications as they are found."""
        check_name(Audit, request.name)
        await streams.misclassifications(self._backend, request.name, request.cursor, write)

    async def stream_regions(self, request: StreamRegionsRequest, write: Write) -> None:
        """Regions as they are found."""
        check_name(Audit, request.name)
        await streams.regions(self._backend, request.name, request.cursor, write)

    async def get_region(self, request: GetRegionRequest) -> Region:
        """A region with its label."""
        names.parse_region_name(request.name)
        return await self._regions.get(request.name)

    async def list_regions(self, request: ListRegionsRequest) -> ListRegionsResponse:
        """A page of an audit's regions, in the order of their numbers."""
        check_name(Audit, request.parent, "parent")
        validation.check_state(request.state, RegionState)
        regions, token = await self._regions.list(
            request.parent,
            request.page_size,
            request.page_token,
            state=request.state,
            confirmed_only=request.confirmed_only,
        )
        return ListRegionsResponse(regions=regions, next_page_token=token)

    async def get_region_split(self, request: GetRegionSplitRequest) -> RegionSplit:
        """How an audit's latest split stands."""
        names.audit_of_split(request.name)
        return cast("RegionSplit", await self._resources.get(request.name))


def _check_create(request: CreateAuditRequest) -> None:
    violations = Violations()
    validation.creation(violations, request)
    validation.name(violations, "classifier", request.classifier, "classifiers")
    validation.name(violations, "vae", request.vae, "vaes")
    validation.name(violations, "dataset", request.dataset, "datasets")
    configs.audit_config(violations, request.config)
    violations.check()
