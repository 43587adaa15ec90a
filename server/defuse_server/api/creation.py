"""Creates resources: a record, and the job that works on it."""

from typing import Any, cast

from defuse.v1.promotion_service_pb2 import Evaluation
from google.protobuf.message import Message

from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.records.creation import NewResource
from defuse_server.records.record import R


def requested(message: R, request: Any, **details: Any) -> NewResource[R]:
    """Return the resource that a request asks for. `details` are fields of `NewResource`."""
    waits = isinstance(message, Evaluation) and message.audit_created
    queue = redis_keys.AWAITING_AUDIT if waits else redis_keys.QUEUE
    return NewResource(message, request.request_id, _body(request), queue=queue, **details)


def as_requested(kind: type[R], request: Any) -> R:
    """Return a resource with all fields that the request for it has under the same names."""
    names = set(request.DESCRIPTOR.fields_by_name).intersection(cast("Any", kind).DESCRIPTOR.fields_by_name)
    return kind(**{name: getattr(request, name) for name in names})


async def create_with_job(backend: Backend, new: NewResource[R]) -> R:
    """Make the resource with its job in the queue, or return what the same request or inputs made before."""
    made, is_new = await backend.resources.create(new)
    if is_new:
        await backend.jobs.announce()
    return made


async def created_before(backend: Backend, kind: type[R], request: Any) -> R | None:
    """Return what the same request made before, or None if it is new. Raises `RequestIdReused`."""
    return await backend.resources.made_before(kind, request.request_id, _body(request))


def _body(request: Message) -> bytes:
    return request.SerializeToString(deterministic=True)
