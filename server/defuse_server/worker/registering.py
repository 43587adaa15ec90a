"""What a job makes becomes a resource of its own, inspected like any other."""

import asyncio
import uuid
from typing import TypeVar

from defuse.v1 import registry_service_pb2 as registry

from defuse_server.backend import Backend
from defuse_server.records.creation import NewResource
from defuse_server.worker.fence import Attempt
from defuse_server.worker.work import JobRefused, RunsJobs

Made = TypeVar("Made", registry.Classifier, registry.Vae)

_POLL_S = 0.2


async def registered(made: Made, attempt: Attempt, backend: Backend, supervisor: RunsJobs) -> str:
    """Register what the job of `attempt` made, once over all its attempts; return its name, READY.

    Raises `Fenced` where another worker has the job, `JobRefused` where the inspection rejects it.
    """
    made.state = registry.REGISTRATION_STATE_INSPECTING
    # Only who still has the job may register; a later attempt finds what this one registered.
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
    """A UUID of version 4 in form, the same for each attempt at the same job."""
    return str(uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_OID, job).bytes, version=4))
