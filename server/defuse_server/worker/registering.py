"""Registers what a job makes as a resource of its own, which is inspected like any other."""

import asyncio
import uuid
from typing import TYPE_CHECKING, TypeVar

from defuse.v1 import registry_service_pb2 as registry

from defuse_server.backend import Backend
from defuse_server.records.creation import NewResource
from defuse_server.worker.fence import Attempt
from defuse_server.worker.work import JobRefused

if TYPE_CHECKING:
    from defuse_server.worker.supervisor import Supervisor

Made = TypeVar("Made", registry.Classifier, registry.Vae)

_POLL_S = 0.2


async def registered(made: Made, attempt: Attempt, backend: Backend, supervisor: "Supervisor") -> str:
    """Register what the job of `attempt` made, once over all its attempts. Returns the READY resource's name.

    Raises `Fenced` if another worker has the job, `JobRefused` if the inspection rejects the resource.
    """
    made.state = registry.REGISTRATION_STATE_INSPECTING
    # Only a worker that still has the job may register. A later attempt finds what this one registered.
    await attempt.heartbeat()
    resource, _ = await backend.resources.create(
        NewResource(made, _request_id(attempt.name), attempt.name.encode())
    )
    await supervisor.run(resource.name)
    while True:
        seen = await backend.resources.fetch(type(made), resource.name)
        if seen.state == registry.REGISTRATION_STATE_REJECTED:
            raise JobRefused(seen.failure)
        if seen.state != registry.REGISTRATION_STATE_INSPECTING:
            return resource.name
        # Another worker has its inspection.
        await asyncio.sleep(_POLL_S)


def _request_id(job: str) -> str:
    """Return an id in the form of a UUID of version 4, the same for each attempt at the same job."""
    return str(uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_OID, job).bytes, version=4))
