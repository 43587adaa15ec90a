"""The kinds of resources that the service keeps, and how they are read, listed and deleted."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from defuse._calls.flows import paged, resumed, unary
from defuse._calls.request_fields import Named, enum_value, name_of
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow, StreamFlow
from defuse.messages import JobState, RegistrationState
from defuse.v1 import audit_service_pb2, correction_service_pb2, promotion_service_pb2, registry_service_pb2

R = TypeVar("R", bound=Message)
S = TypeVar("S", JobState, RegistrationState)


@dataclass(frozen=True)
class Kind(Generic[R, S]):
    """One kind of resource.

    The contract names methods and messages after it: `GetAudit`, `GetAuditRequest`,
    `ListAuditsResponse.audits`.
    """

    messages: ModuleType
    """The generated module with the messages of its calls."""
    resource: type[R]
    states: type[S]
    field: str
    """Name of the field of one such resource, such as `audit`; a list's is `audits`."""

    def message(self, verb: str, suffix: str) -> type[Any]:
        """Return the type of a call's message, such as `WatchAuditRequest` for `Watch` and `Request`."""
        return getattr(self.messages, f"{verb}{self.resource.DESCRIPTOR.name}{suffix}")

    def get(self, name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[R]:
        """Return the resource as it stands. Raises `NotFound`."""
        return unary(self.message("Get", "Request")(name=name_of(name)), self.resource, timeout_s)

    def watch(
        self, name: str, *, timeout_s: float | None = DEFAULT_TIMEOUT_S, within_s: float | None = None
    ) -> StreamFlow[R]:
        """Yield the resource as it stands, and again whenever it changes, until it is in a final state.

        Restarts of the server that take less than `timeout_s` are survived. `within_s` bounds the whole watch
        with `DeadlineExceeded`. Raises `NotFound`.
        """
        return resumed(
            self.message("Watch", "Request")(name=name),
            self.message("Watch", "Response"),
            lambda message: [getattr(message, self.field)],
            timeout_s=timeout_s,
            within_s=within_s,
        )

    def list_all(
        self, *, state: S | str | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
    ) -> StreamFlow[R]:
        """Yield all resources of this kind, or those in one state, newest first."""
        request = self.message("List", "sRequest")(state=enum_value(self.states, state))
        response = self.message("List", "sResponse")
        return paged(request, response, lambda page: getattr(page, f"{self.field}s"), timeout_s)

    def delete(self, name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[None]:
        """Delete the resource. Raises `NotFound`, or `FailedPrecondition` if it is in use."""
        request = self.message("Delete", "Request")(name=name_of(name))
        yield from unary(request, self.message("Delete", "Response"), timeout_s)


CLASSIFIERS = Kind(registry_service_pb2, registry_service_pb2.Classifier, RegistrationState, "classifier")
VAES = Kind(registry_service_pb2, registry_service_pb2.Vae, RegistrationState, "vae")
DATASETS = Kind(registry_service_pb2, registry_service_pb2.Dataset, RegistrationState, "dataset")
VAE_TRAININGS = Kind(registry_service_pb2, registry_service_pb2.VaeTraining, JobState, "vae_training")
AUDITS = Kind(audit_service_pb2, audit_service_pb2.Audit, JobState, "audit")
CORRECTIONS = Kind(correction_service_pb2, correction_service_pb2.Correction, JobState, "correction")
EVALUATIONS = Kind(promotion_service_pb2, promotion_service_pb2.Evaluation, JobState, "evaluation")
