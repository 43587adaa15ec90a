"""The keys and arguments of delete.lua, and what its answers mean."""

from collections.abc import Sequence
from typing import Any, cast

from defuse.v1.models_pb2 import JobState

from defuse_server import redis_keys
from defuse_server.errors import NotFound, ResourceInUse, WrongState
from defuse_server.records.kinds import kind_of


def deletion_keys(name: str, references: Sequence[str]) -> list[str]:
    """Return the keys of delete.lua, in its order."""
    return [
        redis_keys.resource(name),
        redis_keys.index(kind_of(name).collection),
        redis_keys.QUEUE,
        redis_keys.referrers(name),
        *(redis_keys.referrers(other) for other in references),
        *redis_keys.belongings(name),
    ]


def deletion_arguments(name: str, references: Sequence[str]) -> list[str | bytes | int]:
    """Return the arguments of delete.lua, in its order."""
    kind = kind_of(name)
    deletable_states = sorted(kind.states.final) if kind.is_job else ()
    return [name, redis_keys.CHANGED, len(references), *deletable_states]


def check_deleted(name: str, outcome: bytes, detail: Sequence[bytes]) -> None:
    """Raise `NotFound`, `WrongState` or `ResourceInUse` if delete.lua did not delete the resource."""
    if outcome == b"missing":
        raise NotFound(name)
    if outcome == b"state":
        state = JobState.Name(cast("Any", int(detail[0]))).removeprefix("JOB_STATE_")
        raise WrongState(
            f"{name} is {state}: cancel it, or wait until it has ended", figures={"state": state}
        )
    if outcome == b"used":
        users = ", ".join(sorted(user.decode() for user in detail))
        raise ResourceInUse(f"{name} is referred to by {users}: delete those first", figures={"users": users})
