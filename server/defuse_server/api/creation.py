"""How every call that makes a resource ends: with a record and a job."""

from collections.abc import Sequence
from typing import TypeVar

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae, VaeTraining
from google.protobuf.message import Message

from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.records.kinds import kind_of_type
from defuse_server.records.record import awaits_audit
from defuse_server.records.resources import MadeOf

R = TypeVar("R", Classifier, Vae, Dataset, Audit, Correction, Evaluation, VaeTraining)


async def started(
    backend: Backend,
    resource: R,
    request: Message,
    request_id: str,
    references: Sequence[str] = (),
    *,
    made_of: MadeOf[R] | None = None,
    indexes: Sequence[str] = (),
) -> R:
    """Make the resource and enqueue its job, or answer with what the same request or inputs made before."""
    waits = isinstance(resource, Evaluation) and resource.audit_created
    made, _ = await backend.resources.create(
        resource,
        request_id,
        _body(request),
        references=references,
        made_of=made_of,
        queue=redis_keys.AWAITING_AUDIT if waits else redis_keys.QUEUE,
        indexes=indexes,
    )
    return await _enqueued(backend, made)


async def repeated(backend: Backend, kind: type[R], request: Message, request_id: str) -> R | None:
    """What the same request made before; None where it is new. Raises RequestIdReused."""
    made = await backend.resources.made_before(kind, request_id, _body(request))
    return None if made is None else await _enqueued(backend, made)


async def _enqueued(backend: Backend, made: R) -> R:
    if isinstance(made, Evaluation) and awaits_audit(made):
        return made
    if made.state == kind_of_type(type(made)).initial_state:
        # Also for a repeated request: the server may have died between the record and its enqueuing.
        await backend.jobs.submit(made.name)
    return made


def _body(request: Message) -> bytes:
    return request.SerializeToString(deterministic=True)
