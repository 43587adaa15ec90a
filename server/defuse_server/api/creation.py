"""How every call that makes a resource ends: with a record and a job."""

from collections.abc import Sequence
from typing import TypeVar

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae, VaeTraining
from google.protobuf.message import Message

from defuse_server.backend import Backend
from defuse_server.kinds import kind_of_type

R = TypeVar("R", Classifier, Vae, Dataset, Audit, Correction, Evaluation, VaeTraining)


async def started(
    backend: Backend, resource: R, request: Message, request_id: str, references: Sequence[str] = ()
) -> R:
    """Make the resource and enqueue its job, or answer with what the same request made before."""
    body = request.SerializeToString(deterministic=True)
    made, _ = await backend.resources.create(resource, request_id, body, references=references)
    if made.state == kind_of_type(type(made)).initial_state:
        # Also for a repeated request: the server may have died between the record and its enqueuing.
        await backend.jobs.submit(made.name)
    return made
