"""The records of classifiers, VAEs, datasets, audits, corrections, evaluations and trainings, in Redis."""

import asyncio
import builtins
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae, VaeTraining
from google.protobuf.message import Message
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import CursorUnknown, NotFound, RequestIdReused, ResourceInUse, WrongState
from defuse_server.host.redis_client import Script
from defuse_server.names import new_name
from defuse_server.records.changes import Changes
from defuse_server.records.kinds import kind_of, kind_of_type
from defuse_server.records.paging import checked_page_size, opened_page_token
from defuse_server.records.record import Record, Resource, read_record
from defuse_server.records.sealed import Sealer

M = TypeVar("M", bound=Message)
R = TypeVar("R", Classifier, Vae, Dataset, Audit, Correction, Evaluation, VaeTraining)

_FOLDER = Path(__file__).parent
_FILTER_BATCH = 500
_WATCH_POLL_S = 2.0
_WATCH_SILENCE_S = 15.0
_STANDING = f"{JobState.JOB_STATE_QUEUED},{JobState.JOB_STATE_RUNNING},{JobState.JOB_STATE_SUCCEEDED}"


@dataclass(frozen=True)
class MadeOf(Generic[M]):
    """All that a job's result depends on, as a digest: another of the same digest may stand for a new one."""

    digest: str
    stands: Callable[[M], bool]
    """Whether one that was made of the same can be the answer; never asked to be where it failed."""


class Resources:
    """All resources, each under its name; the hash behind one is described in redis_keys."""

    def __init__(self, redis: Redis) -> None:
        self.watch_silence_s = _WATCH_SILENCE_S
        """A watch says nothing for at most so long: proxies cut connections that are silent for a minute."""
        self.changes = Changes(redis)
        self.sealer = Sealer(redis)
        self._redis = redis
        self._create = Script(redis, _FOLDER / "create.lua")
        self._delete = Script(redis, _FOLDER / "delete.lua")

    async def aclose(self) -> None:
        """End what waits for changes; before the Redis client is closed."""
        await self.changes.aclose()

    async def create(
        self,
        message: R,
        request_id: str,
        request_body: bytes,
        *,
        references: Sequence[str] = (),
        referred_by: Sequence[str] = (),
        made_of: MadeOf[R] | None = None,
        queue: str = redis_keys.QUEUE,
        indexes: Sequence[str] = (),
    ) -> tuple[R, bool]:
        """Make a resource of `message` (its name is made here; its state is QUEUED or INSPECTING).

        Returns it as Get shows it, and whether this call made it: the same `request_id` and `request_body`
        (the request, serialized deterministically) answers with what the first call made, and so does a
        resource that is `made_of` the same and still stands. `queue` is where it waits, `indexes` are sorted
        sets that list it, all of them keys of redis_keys.

        Raises RequestIdReused, and NotFound where one of `references` does not exist; those can't be deleted
        while this one exists. `referred_by` names resources that refer to the new one, and keep it from being
        deleted.
        """
        kind = kind_of_type(type(message))
        name = new_name(kind.collection)
        references = list(dict.fromkeys(references))
        while True:
            twin, stands = await self._twin(kind.collection, made_of)
            outcome, detail = await self._create(
                [
                    redis_keys.request(kind.collection, request_id),
                    redis_keys.resource(name),
                    redis_keys.index(kind.collection),
                    queue,
                    redis_keys.SEQUENCE,
                    redis_keys.referrers(name),
                    redis_keys.made_of(kind.collection),
                    redis_keys.resource(twin or name),
                    *indexes,
                    *(key for other in references for key in _reference_keys(other)),
                ],
                [
                    name,
                    _digest(request_body),
                    message.SerializeToString(),
                    kind.initial_state,
                    redis_keys.REQUEST_TTL_S,
                    " ".join(references),
                    made_of.digest if made_of else "",
                    twin,
                    _STANDING if stands else "",
                    len(indexes),
                    *referred_by,
                ],
            )
            if outcome != b"again":
                break
        if outcome == b"reused":
            raise _reused(request_id)
        if outcome == b"missing":
            raise NotFound(references[int(detail) - 1])
        return cast("R", await self.get(detail.decode())), outcome == b"made"

    async def made_before(self, kind: type[R], request_id: str, request_body: bytes) -> R | None:
        """Return what `create` answered to the same request, None where it did not come yet.

        Raises RequestIdReused, and NotFound where it was deleted since.
        """
        key = redis_keys.request(kind_of_type(kind).collection, request_id)
        digest, name = await cast("Any", self._redis.hmget(key, ["digest", "name"]))
        if digest is None:
            return None
        if digest.decode() != _digest(request_body):
            raise _reused(request_id)
        return cast("R", await self.get(name.decode()))

    async def get(self, name: str) -> Resource:
        """Return a resource with its present state and progress, in one round trip.

        Raises InvalidRequest, NotFound.
        """
        return (await self.record(name)).resource

    async def fetch(self, kind: type[R], name: str) -> R:
        """Return a resource of this kind; raises InvalidRequest, NotFound, TypeError (it is of another)."""
        resource = await self.get(name)
        if not isinstance(resource, kind):
            raise TypeError(f"{name} is a {type(resource).__name__}, expected a {kind.__name__}")
        return resource

    async def record(self, name: str) -> Record:
        """Return a resource with its revision and attempt; raises InvalidRequest, NotFound."""
        kind_of(name)
        records = await self._records([name])
        if not records:
            raise NotFound(name)
        return records[0]

    async def list(
        self, kind: type[R], page_size: int, page_token: str, state: int = 0
    ) -> tuple[builtins.list[R], str]:
        """Return a page, newest first, and the token of the next (empty: this was the last).

        `state` is a JobState or RegistrationState; 0: all. `page_size` 0 counts as 50. Raises InvalidRequest,
        PageTokenInvalid.
        """
        size = checked_page_size(page_size)
        collection = kind_of_type(kind).collection
        purpose = f"list:{collection}:{state}"
        before = await opened_page_token(self.sealer, purpose, page_token)
        # One more than asked for: it tells whether there is a next page.
        found = await self._names_before(collection, before, size + 1, state)
        records = await self._records([name for name, _ in found[:size]])
        token = await self.sealer.seal(purpose, str(found[size - 1][1])) if len(found) > size else ""
        return [cast("R", record.resource) for record in records], token

    async def referring(self, name: str, kind: type[R]) -> builtins.list[R]:
        """Return the resources of this kind that refer to `name`, the newest first; none where it is gone."""
        collection = kind_of_type(kind).collection
        members = await cast("Any", self._redis.smembers(redis_keys.referrers(name)))
        # Ids sort by the time of their making.
        names = sorted((member.decode() for member in members), reverse=True)
        records = await self._records([one for one in names if one.startswith(f"{collection}/")])
        return [cast("R", record.resource) for record in records]

    async def several(self, kind: type[R], names: Sequence[str]) -> builtins.list[R]:
        """Return the resources with these names, in their order; those that are gone are left out."""
        return [cast("R", record.resource) for record in await self._records(names)]

    async def delete(self, name: str) -> None:
        """Delete a resource with what belongs to it (regions, labels, references to chunks).

        Raises InvalidRequest, NotFound, ResourceInUse, and WrongState for a job that has not ended.
        """
        kind = kind_of(name)
        # Read apart from the script: references never change.
        references = await cast("Any", self._redis.hget(redis_keys.resource(name), "references"))
        others = (references or b"").decode().split()
        outcome, *detail = await self._delete(
            [
                redis_keys.resource(name),
                redis_keys.index(kind.collection),
                redis_keys.QUEUE,
                redis_keys.referrers(name),
                *(redis_keys.referrers(other) for other in others),
                *redis_keys.belongings(name),
            ],
            [name, redis_keys.CHANGED, len(others), *(sorted(kind.final_states) if kind.is_job else ())],
        )
        _check_deleted(name, outcome, detail)

    async def watch(self, name: str, cursor: str) -> AsyncGenerator[tuple[Resource, str]]:
        """Yield (resource, cursor) whenever it changes, the present state first; ends after a final state.

        With a cursor, the first comes when the resource differs from what that cursor's message showed. A
        resource that does not change is yielded again after each `watch_silence_s`.
        Raises InvalidRequest, NotFound (also when it is deleted meanwhile), CursorUnknown.
        """
        record = await self.record(name)
        purpose = f"watch:{name}"
        seen = await self._opened_cursor(purpose, cursor, record.revision)
        now = asyncio.get_running_loop().time
        yielded_s = now()
        with self.changes.subscribed(name) as changed:
            while True:
                changed.clear()
                record = await self.record(name)
                if record.revision > seen or (
                    not record.is_final and now() - yielded_s > self.watch_silence_s
                ):
                    seen, yielded_s = record.revision, now()
                    yield record.resource, await self.sealer.seal(purpose, str(seen))
                if record.is_final:
                    return
                # No wait_for: on Python 3.11 it swallows a cancellation that comes together with a change.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(_WATCH_POLL_S, self.watch_silence_s)):
                        await changed.wait()

    async def _twin(self, collection: str, made_of: MadeOf[Any] | None) -> tuple[str, bool]:
        """The name of what was made of the same, or empty, and whether it still stands."""
        if made_of is None:
            return "", False
        found = await cast("Any", self._redis.hget(redis_keys.made_of(collection), made_of.digest))
        if found is None:
            return "", False
        twin = found.decode()
        records = await self._records([twin])
        return twin, bool(records) and made_of.stands(records[0].resource)

    async def _opened_cursor(self, purpose: str, cursor: str, revision: int) -> int:
        if not cursor:
            return 0
        position = await self.sealer.open(purpose, cursor)
        if position is None or int(position) > revision:
            raise CursorUnknown(
                "the cursor was never handed out for this stream: pass the last message's, or leave it empty"
            )
        return int(position)

    async def _records(self, names: Sequence[str]) -> builtins.list[Record]:
        """Read resources in one round trip; those that don't exist are left out."""
        if not names:
            return []
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            for name in names:
                pipe.hgetall(redis_keys.resource(name))
                pipe.zrank(redis_keys.QUEUE, name)
            (seconds, micros), *replies = await pipe.execute()
        now_ms = seconds * 1000 + micros // 1000
        return [
            read_record(name, fields, now_ms, position or 0)
            for name, fields, position in zip(names, replies[::2], replies[1::2], strict=True)
            if fields
        ]

    async def _names_before(
        self, collection: str, before: int | None, count: int, state: int
    ) -> builtins.list[tuple[str, int]]:
        """Return up to `count` (name, sequence number), newest first, from below the number `before`."""
        found: list[tuple[str, int]] = []
        batch = max(count, _FILTER_BATCH) if state else count
        while len(found) < count:
            bound = "+inf" if before is None else f"({before}"
            entries = cast(
                "list[tuple[bytes, float]]",
                await self._redis.zrevrangebyscore(
                    redis_keys.index(collection), bound, "-inf", start=0, num=batch, withscores=True
                ),
            )
            names = [(name.decode(), int(sequence)) for name, sequence in entries]
            found += await self._in_state(names, state) if state else names
            if len(names) < batch:
                break
            before = names[-1][1]
        return found[:count]

    async def _in_state(
        self, names: builtins.list[tuple[str, int]], state: int
    ) -> builtins.list[tuple[str, int]]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, _ in names:
                pipe.hget(redis_keys.resource(name), "state")
            states = await pipe.execute()
        wanted = str(state).encode()
        return [entry for entry, present in zip(names, states, strict=True) if present == wanted]


def _reference_keys(name: str) -> tuple[str, str]:
    kind_of(name)
    return redis_keys.resource(name), redis_keys.referrers(name)


def _digest(request_body: bytes) -> str:
    return hashlib.sha256(request_body).hexdigest()


def _reused(request_id: str) -> RequestIdReused:
    return RequestIdReused(
        f"request_id {request_id} came before with another body: make a new one for a new request"
    )


def _check_deleted(name: str, outcome: bytes, detail: Sequence[bytes]) -> None:
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
