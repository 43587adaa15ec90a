"""A resource that is to be made: what it is, and the keys and arguments of create.lua."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from defuse.v1.models_pb2 import JobState

from defuse_server import redis_keys
from defuse_server.errors import RequestIdReused
from defuse_server.records.kinds import kind_of, kind_of_type
from defuse_server.records.record import R

_REUSABLE_STATES = f"{JobState.JOB_STATE_QUEUED},{JobState.JOB_STATE_RUNNING},{JobState.JOB_STATE_SUCCEEDED}"


@dataclass(frozen=True)
class MadeOf(Generic[R]):
    """The digest of everything that a job's result depends on. A job of the same digest may be reused."""

    digest: str
    is_reusable: Callable[[R], bool]
    """Decides about a job of the same digest. A job that failed is never reused, whatever this says."""


@dataclass(frozen=True)
class NewResource(Generic[R]):
    """A resource to create, and the request that asks for it."""

    message: R
    """What Get shows. `Resources.create` adds the name and the first state, QUEUED or INSPECTING."""
    request_id: str
    request_body: bytes
    """The request, serialized deterministically. Repeating it answers with the resource of the first call."""
    references: Sequence[str] = ()
    """Names of the resources that this one refers to. They can't be deleted while this one exists."""
    made_of: MadeOf[R] | None = None
    queue: str = redis_keys.QUEUE
    """Key of the sorted set in which the resource waits."""
    indexes: Sequence[str] = ()
    """Keys of further sorted sets that list the resource."""

    @property
    def collection(self) -> str:
        """The collection that the resource goes into."""
        return kind_of_type(type(self.message)).collection

    def distinct_references(self) -> list[str]:
        """Return the references without repetitions, in their order."""
        return list(dict.fromkeys(self.references))


@dataclass(frozen=True)
class Twin:
    """An earlier resource that is made of the same; `name` is empty if there is none."""

    name: str = ""
    is_reusable: bool = False


def creation_keys(new: NewResource[R], name: str, twin: Twin) -> list[str]:
    """Return the keys of create.lua, in its order."""
    return [
        redis_keys.request(new.collection, new.request_id),
        redis_keys.resource(name),
        redis_keys.index(new.collection),
        new.queue,
        redis_keys.SEQUENCE,
        redis_keys.made_of(new.collection),
        redis_keys.resource(twin.name or name),
        *new.indexes,
        *(key for other in new.distinct_references() for key in _reference_keys(other)),
    ]


def creation_arguments(new: NewResource[R], name: str, twin: Twin) -> list[str | bytes | int]:
    """Return the arguments of create.lua, in its order."""
    return [
        name,
        request_digest(new.request_body),
        new.message.SerializeToString(),
        kind_of_type(type(new.message)).states.waiting,
        redis_keys.REQUEST_TTL_S,
        " ".join(new.distinct_references()),
        new.made_of.digest if new.made_of else "",
        twin.name,
        _REUSABLE_STATES if twin.is_reusable else "",
        len(new.indexes),
        kind_of_type(type(new.message)).head_starts * redis_keys.HEAD_START,
    ]


def request_digest(request_body: bytes) -> str:
    """Return what tells one body of a request from another."""
    return hashlib.sha256(request_body).hexdigest()


def request_id_reused(request_id: str) -> RequestIdReused:
    """Return the error for a request id that came with another body."""
    return RequestIdReused(
        f"request_id {request_id} came before with another body: make a new one for a new request"
    )


def _reference_keys(name: str) -> tuple[str, str]:
    kind_of(name)
    return redis_keys.resource(name), redis_keys.referrers(name)
