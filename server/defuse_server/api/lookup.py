"""Finds the resources that a request names, in the state that the call needs."""

from typing import TypeVar, cast

from defuse.v1 import registry_service_pb2 as registry
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.models_pb2 import JobState

from defuse_server import names
from defuse_server.errors import WrongState
from defuse_server.records.kinds import kind_of_type
from defuse_server.records.record import R
from defuse_server.records.resources import Resources

Registered = TypeVar("Registered", registry.Classifier, registry.Vae, registry.Dataset)


def check_name(kind: type[R], name: str, field: str = "name") -> None:
    """Raise `InvalidRequest` about `field` if `name` is not the name of such a resource."""
    names.resource_id(kind_of_type(kind).collection, name, field)


async def find(resources: Resources, kind: type[R], name: str, field: str = "name") -> R:
    """Return the resource as it is now. Raises `InvalidRequest`, `NotFound`."""
    check_name(kind, name, field)
    return cast("R", await resources.get(name))


async def find_ready(resources: Resources, kind: type[Registered], name: str, field: str) -> Registered:
    """Return the resource. Raises `InvalidRequest`, `NotFound`, `WrongState` if it is not READY."""
    resource = await find(resources, kind, name, field)
    if resource.state != registry.REGISTRATION_STATE_READY:
        state = registry.RegistrationState.Name(resource.state).removeprefix("REGISTRATION_STATE_")
        advice = "watch it until it is READY" if state == "INSPECTING" else "register another"
        raise WrongState(
            f"{name} is {state}, expected READY: {advice}", figures={"name": name, "state": state}
        )
    return resource


async def find_succeeded_audit(resources: Resources, name: str, field: str) -> Audit:
    """Return the audit. Raises `InvalidRequest`, `NotFound`, `WrongState` if it has not SUCCEEDED."""
    audit = await find(resources, Audit, name, field)
    if audit.state != JobState.JOB_STATE_SUCCEEDED:
        state = JobState.Name(audit.state).removeprefix("JOB_STATE_")
        raise WrongState(f"{name} is {state}, expected SUCCEEDED", figures={"name": name, "state": state})
    return audit
