"""The resources that a request speaks of, in the state that it needs them."""

from typing import TypeVar, cast

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, RegistrationState, Vae, VaeTraining

from defuse_server import names
from defuse_server.errors import WrongState
from defuse_server.records.kinds import kind_of_type
from defuse_server.records.resources import Resources

R = TypeVar("R", Classifier, Vae, Dataset, Audit, Correction, Evaluation, VaeTraining)
Registered = TypeVar("Registered", Classifier, Vae, Dataset)


def check_name(kind: type[R], name: str, field: str = "name") -> None:
    """Raises InvalidRequest where `name` can't be the name of such a resource."""
    names.resource_id(kind_of_type(kind).collection, name, field)


async def found(resources: Resources, kind: type[R], name: str, field: str = "name") -> R:
    """The resource as it stands; raises InvalidRequest, NotFound."""
    check_name(kind, name, field)
    return cast("R", await resources.get(name))


async def ready(resources: Resources, kind: type[Registered], name: str, field: str) -> Registered:
    """The resource, which must be READY; raises InvalidRequest, NotFound, WrongState."""
    resource = await found(resources, kind, name, field)
    if resource.state != RegistrationState.REGISTRATION_STATE_READY:
        state = RegistrationState.Name(resource.state).removeprefix("REGISTRATION_STATE_")
        advice = "poll it until it is READY" if state == "INSPECTING" else "register another"
        raise WrongState(
            f"{name} is {state}, expected READY: {advice}", figures={"name": name, "state": state}
        )
    return resource


async def succeeded(resources: Resources, name: str, field: str) -> Audit:
    """The audit, which must have SUCCEEDED; raises InvalidRequest, NotFound, WrongState."""
    audit = await found(resources, Audit, name, field)
    if audit.state != JobState.JOB_STATE_SUCCEEDED:
        state = JobState.Name(audit.state).removeprefix("JOB_STATE_")
        raise WrongState(f"{name} is {state}, expected SUCCEEDED", figures={"name": name, "state": state})
    return audit
