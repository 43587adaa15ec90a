"""The RPCs that every kind of resource has alike: Get, List, Watch, Cancel and Delete."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from defuse.v1 import audit_service_pb2 as audit
from defuse.v1 import correction_service_pb2 as correction
from defuse.v1 import promotion_service_pb2 as promotion
from defuse.v1 import registry_service_pb2 as registry
from defuse.v1.models_pb2 import JobState
from google.protobuf.message import Message

from defuse_server import validation
from defuse_server.api.lookup import check_name, find
from defuse_server.api.rpc import Method, Write, snake_case
from defuse_server.backend import Backend
from defuse_server.records.kinds import kind_of_type

_FIGURES_OF_SEEDS: Final = (
    "seed_candidates_before",
    "seed_candidates_after",
    "seed_misclassifications_before",
    "seed_misclassifications_after",
)


@dataclass(frozen=True)
class ResourceRpcs:
    """The messages of one kind's RPCs. Kinds that are jobs can be cancelled and watched."""

    resource: Any
    """Type of the resource's message."""
    list_response: type[Message]
    watch_response: Callable[..., Message] | None = None
    delete_response: Callable[[], Message] | None = None
    shorten: Callable[[Any], None] | None = None
    """Removes from a listed resource what would make a page too large for one message."""


def _clear_details(evaluation: promotion.Evaluation) -> None:
    for field in ("checks", "classes", "regions"):
        evaluation.ClearField(field)
    if evaluation.HasField("second_search"):
        for field in _FIGURES_OF_SEEDS:
            evaluation.second_search.ClearField(field)


RESOURCE_RPCS: Final = (
    ResourceRpcs(
        registry.Classifier, registry.ListClassifiersResponse, None, registry.DeleteClassifierResponse
    ),
    ResourceRpcs(registry.Vae, registry.ListVaesResponse, None, registry.DeleteVaeResponse),
    ResourceRpcs(registry.Dataset, registry.ListDatasetsResponse, None, registry.DeleteDatasetResponse),
    ResourceRpcs(registry.VaeTraining, registry.ListVaeTrainingsResponse, registry.WatchVaeTrainingResponse),
    ResourceRpcs(audit.Audit, audit.ListAuditsResponse, audit.WatchAuditResponse, audit.DeleteAuditResponse),
    ResourceRpcs(
        correction.Correction, correction.ListCorrectionsResponse, correction.WatchCorrectionResponse
    ),
    ResourceRpcs(
        promotion.Evaluation,
        promotion.ListEvaluationsResponse,
        promotion.WatchEvaluationResponse,
        shorten=_clear_details,
    ),
)


def resource_methods(backend: Backend) -> dict[str, Method]:
    """Return the methods of all kinds by the name of their RPC, such as `GetAudit`."""
    return {name: method for rpcs in RESOURCE_RPCS for name, method in _methods(backend, rpcs).items()}


def _methods(backend: Backend, rpcs: ResourceRpcs) -> dict[str, Method]:
    kind, resources = rpcs.resource, backend.resources
    name = kind.DESCRIPTOR.name
    list_name = rpcs.list_response.DESCRIPTOR.name.removesuffix("Response")

    async def get(request: Any) -> Message:
        return await find(resources, kind, request.name)

    async def list_(request: Any) -> Message:
        validation.check_state(request.state, _state_enum(kind))
        found, token = await resources.list(kind, request.page_size, request.page_token, request.state)
        if rpcs.shorten:
            for resource in found:
                rpcs.shorten(resource)
        field = snake_case(list_name.removeprefix("List"))
        return rpcs.list_response(**{field: found, "next_page_token": token})

    async def cancel(request: Any) -> Message:
        check_name(kind, request.name)
        return await backend.jobs.cancel(request.name)

    methods: dict[str, Method] = {f"Get{name}": get, list_name: list_}
    if kind_of_type(kind).is_job:
        methods[f"Cancel{name}"] = cancel
    if rpcs.watch_response:
        methods[f"Watch{name}"] = _watch(backend, kind, rpcs.watch_response)
    if rpcs.delete_response:
        methods[f"Delete{name}"] = _delete(backend, kind, rpcs.delete_response)
    return methods


def _watch(backend: Backend, kind: Any, response: Callable[..., Message]) -> Method:
    field = snake_case(kind.DESCRIPTOR.name)

    async def watch(request: Any, write: Write) -> None:
        check_name(kind, request.name)
        async with aclosing(backend.resources.watch(request.name, request.cursor)) as changes:
            async for resource, cursor in changes:
                await write(response(**{field: resource, "cursor": cursor}))

    return watch


def _delete(backend: Backend, kind: Any, response: Callable[[], Message]) -> Method:
    async def delete(request: Any) -> Message:
        check_name(kind, request.name)
        await backend.resources.delete(request.name)
        return response()

    return delete


def _state_enum(kind: Any) -> Any:
    return JobState if kind_of_type(kind).is_job else registry.RegistrationState
