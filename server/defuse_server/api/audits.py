"""AuditService."""

from typing import cast

from defuse.v1 import audit_service_pb2 as pb
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server import names, validation
from defuse_server.access.caller import CALLER
from defuse_server.api import compatibility, configs, streams
from defuse_server.api.creation import as_requested, create_with_job, created_before, requested
from defuse_server.api.lookup import check_name, find_ready
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.evaluations.choose_audit import audit_indexes
from defuse_server.validation import Violations


class AuditService:
    """Audits and what they find; see audit_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resources = backend.resources
        self._regions = backend.regions

    async def create_audit(self, request: pb.CreateAuditRequest) -> pb.Audit:
        """Create an audit of READY resources that fit together."""
        with Violations() as violations:
            validation.creation(violations, request)
            validation.name(violations, "classifier", request.classifier, "classifiers")
            validation.name(violations, "vae", request.vae, "vaes")
            validation.name(violations, "dataset", request.dataset, "datasets")
            configs.audit_config(violations, request.config)
        classifier = await find_ready(self._resources, Classifier, request.classifier, "classifier")
        vae = await find_ready(self._resources, Vae, request.vae, "vae")
        dataset = await find_ready(self._resources, Dataset, request.dataset, "dataset")
        compatibility.audit_fits(classifier, vae, dataset)
        new = requested(
            as_requested(pb.Audit, request),
            request,
            references=[classifier.name, vae.name, dataset.name],
            indexes=audit_indexes(classifier, vae, dataset),
        )
        # A repeated request is no further audit.
        if (before := await created_before(self._backend, pb.Audit, request)) is not None:
            return before
        async with self._backend.limits.audit(CALLER.get(), request.request_id) as keep:
            audit = await create_with_job(self._backend, new)
            await keep(audit.name)
        return audit

    async def stream_misclassifications(
        self, request: pb.StreamMisclassificationsRequest, write: Write
    ) -> None:
        """Stream misclassifications as they are found."""
        check_name(pb.Audit, request.name)
        await streams.misclassifications(self._backend, request.name, request.cursor, write)

    async def stream_regions(self, request: pb.StreamRegionsRequest, write: Write) -> None:
        """Stream regions as they are found."""
        check_name(pb.Audit, request.name)
        await streams.regions(self._backend, request.name, request.cursor, write)

    async def get_region(self, request: pb.GetRegionRequest) -> pb.Region:
        """Return a region with its label."""
        return await self._regions.get(request.name)

    async def list_regions(self, request: pb.ListRegionsRequest) -> pb.ListRegionsResponse:
        """Return a page of an audit's regions, in the order of their numbers."""
        check_name(pb.Audit, request.parent, "parent")
        validation.check_state(request.state, pb.RegionState)
        regions, token = await self._regions.list(
            request.parent,
            request.page_size,
            request.page_token,
            state=request.state,
            confirmed_only=request.confirmed_only,
        )
        return pb.ListRegionsResponse(regions=regions, next_page_token=token)

    async def stream_bugs(self, request: pb.StreamBugsRequest, write: Write) -> None:
        """Stream bugs as they are found."""
        check_name(pb.Audit, request.name)
        await streams.bugs(self._backend, request.name, request.cursor, write)

    async def get_bug(self, request: pb.GetBugRequest) -> pb.Bug:
        """Return a bug with its label."""
        return await self._backend.bugs.get(request.name)

    async def list_bugs(self, request: pb.ListBugsRequest) -> pb.ListBugsResponse:
        """Return a page of an audit's bugs, in the order of their numbers."""
        check_name(pb.Audit, request.parent, "parent")
        validation.check_state(request.state, pb.RegionState)
        bugs, token = await self._backend.bugs.list(
            request.parent,
            request.page_size,
            request.page_token,
            state=request.state,
            confirmed_only=request.confirmed_only,
        )
        return pb.ListBugsResponse(bugs=bugs, next_page_token=token)

    async def get_region_split(self, request: pb.GetRegionSplitRequest) -> pb.RegionSplit:
        """Return an audit's latest region split."""
        names.audit_of_region_split(request.name)
        return cast("pb.RegionSplit", await self._resources.get(request.name))
