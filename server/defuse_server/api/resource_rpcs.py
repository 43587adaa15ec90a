"""The RPCs that every kind of resource has alike: Get, List, Watch, Cancel and Delete."""

from contextlib import aclosing
from typing import Any, Final

from defuse.v1 import registry_service_pb2 as registry
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

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


def _clear_details(evaluation: Evaluation) -> None:
    """Remove what would make a page of a list too large for one message."""
    for field in ("checks", "classes", "regions"):
        evaluation.ClearField(field)
    if evaluation.HasField("second_search"):
        for field in _FIGURES_OF_SEEDS:
            evaluation.second_search.ClearField(field)


_RESOURCES: Final = (
    *(registry.Classifier, registry.Vae, registry.Dataset, registry.VaeTraining),
    *(Audit, Correction, Evaluation),
)


def resource_methods(backend: Backend) -> dict[str, Method]:
    """Return the methods of all kinds by the name of their RPC, such as `GetAudit`."""
    return {name: method for kind in _RESOURCES for name, method in _Rpcs(backend, kind).methods().items()}


class _Rpcs:
    """The RPCs of one kind of resource."""

    def __init__(self, backend: Backend, kind: Any) -> None:
        self._backend = backend
        self._kind = kind
        self._field = snake_case(kind.DESCRIPTOR.name)
        (self._service,) = kind.DESCRIPTOR.file.services_by_name.values()

    def methods(self) -> dict[str, Method]:
        """Return those methods that the service of this kind has."""
        name = self._kind.DESCRIPTOR.name
        methods: dict[str, Method] = {
            f"Get{name}": self.get,
            f"List{name}s": self.list,
            f"Watch{name}": self.watch,
            f"Cancel{name}": self.cancel,
            f"Delete{name}": self.delete,
        }
        return {rpc: method for rpc, method in methods.items() if rpc in self._service.methods_by_name}

    async def get(self, request: Any) -> Message:
        return await find(self._backend.resources, self._kind, request.name)

    async def list(self, request: Any) -> Message:
        kind = self._kind
        states = JobState if kind_of_type(kind).is_job else registry.RegistrationState
        validation.check_state(request.state, states)
        found, token = await self._backend.resources.list(
            kind, request.page_size, request.page_token, request.state
        )
        for evaluation in found if kind is Evaluation else ():
            _clear_details(evaluation)
        return self._answer(request, {f"{self._field}s": found, "next_page_token": token})

    async def watch(self, request: Any, write: Write) -> None:
        check_name(self._kind, request.name)
        async with aclosing(self._backend.resources.watch(request.name, request.cursor)) as changes:
            async for resource, cursor in changes:
                await write(self._answer(request, {self._field: resource, "cursor": cursor}))

    async def cancel(self, request: Any) -> Message:
        check_name(self._kind, request.name)
        return await self._backend.jobs.cancel(request.name)

    async def delete(self, request: Any) -> Message:
        check_name(self._kind, request.name)
        await self._backend.resources.delete(request.name)
        return self._answer(request, {})

    def _answer(self, request: Any, fields: dict[str, Any]) -> Message:
        rpc = request.DESCRIPTOR.name.removesuffix("Request")
        return GetMessageClass(self._service.methods_by_name[rpc].output_type)(**fields)
