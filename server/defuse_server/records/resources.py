"""The records of classifiers, VAEs, datasets, audits, corrections, evaluations and trainings, in Redis."""

import builtins
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import NotFound
from defuse_server.host.redis_client import Script
from defuse_server.names import new_name
from defuse_server.records import creation
from defuse_server.records.changes import Changes
from defuse_server.records.deletion import check_deleted, deletion_arguments, deletion_keys
from defuse_server.records.kinds import kind_of, kind_of_type
from defuse_server.records.listing import names_before
from defuse_server.records.paging import checked_page_size, opened_page_token
from defuse_server.records.record import QUEUE_SHOWN, Queue, R, Record, Resource, read_record
from defuse_server.records.sealed import Sealer
from defuse_server.records.watching import changed_records, cursor_unknown

_FOLDER = Path(__file__).parent
_WATCH_SILENCE_S = 15.0


class Resources:
    """All resources by name. `redis_keys` describes the hash of each."""

    def __init__(self, redis: Redis) -> None:
        self.watch_silence_s = _WATCH_SILENCE_S
        """A watch sends something at least this often: proxies cut connections that stay silent."""
        self.changes = Changes(redis)
        self.sealer = Sealer(redis)
        self._redis = redis
        self._create = Script(redis, _FOLDER / "create.lua")
        self._delete = Script(redis, _FOLDER / "delete.lua")

    async def aclose(self) -> None:
        """Stop listening for changes. Call this before you close the Redis client."""
        await self.changes.aclose()

    async def create(self, new: creation.NewResource[R]) -> tuple[R, bool]:
        """Make a resource, and return it as Get shows it and whether this call made it.

        A repeated request returns what the first call made. A resource that is made of the same is returned
        in place of a new one if it is reusable.

        Raises `RequestIdReused` if the request id came with another body, `NotFound` if a reference does not
        exist.
        """
        name = new_name(new.collection)
        outcome, detail = b"again", b""
        while outcome == b"again":
            twin = await self._twin(new)
            outcome, detail = await self._create(
                creation.creation_keys(new, name, twin), creation.creation_arguments(new, name, twin)
            )
        if outcome == b"reused":
            raise creation.request_id_reused(new.request_id)
        if outcome == b"missing":
            raise NotFound(new.distinct_references()[int(detail) - 1])
        return cast("R", await self.get(detail.decode())), outcome == b"made"

    async def made_before(self, kind: type[R], request_id: str, request_body: bytes) -> R | None:
        """Return what `create` answered to the same request, or None if the request is new.

        Raises `RequestIdReused`, and `NotFound` if the resource was deleted since.
        """
        key = redis_keys.request(kind_of_type(kind).collection, request_id)
        digest, name = await cast("Any", self._redis.hmget(key, ["digest", "name"]))
        if digest is None:
            return None
        if digest.decode() != creation.request_digest(request_body):
            raise creation.request_id_reused(request_id)
        return cast("R", await self.get(name.decode()))

    async def get(self, name: str) -> Resource:
        """Return a resource as it is now, in one round trip. Raises `InvalidRequest`, `NotFound`."""
        return (await self.record(name)).resource

    async def fetch(self, kind: type[R], name: str) -> R:
        """Return a resource of this kind. Raises `InvalidRequest`, `NotFound`, `TypeError` (another kind)."""
        resource = await self.get(name)
        if not isinstance(resource, kind):
            raise TypeError(f"{name} is a {type(resource).__name__}, expected a {kind.__name__}")
        return resource

    async def find(self, kind: type[R], name: str) -> R | None:
        """Return a resource of this kind as `fetch` does, or None if it is gone or `name` is empty."""
        try:
            return await self.fetch(kind, name) if name else None
        except NotFound:
            return None

    async def record(self, name: str) -> Record:
        """Return a resource with its revision. Raises `InvalidRequest`, `NotFound`."""
        kind_of(name)
        records = await self._records([name])
        if not records:
            raise NotFound(name)
        return records[0]

    async def list(
        self, kind: type[R], page_size: int, page_token: str, state: int = 0
    ) -> tuple[builtins.list[R], str]:
        """Return a page, newest first, and the token of the next page (empty: this was the last).

        `state` is a JobState or RegistrationState; 0 lists all. A `page_size` of 0 means 50. Raises
        `InvalidRequest`, `PageTokenInvalid`.
        """
        size = checked_page_size(page_size)
        collection = kind_of_type(kind).collection
        purpose = f"list:{collection}:{state}"
        before = await opened_page_token(self.sealer, purpose, page_token)
        # One more than asked for tells whether there is a next page.
        found = await names_before(self._redis, collection, before, size + 1, state)
        records = await self._records([name for name, _ in found[:size]])
        token = await self.sealer.seal(purpose, str(found[size - 1][1])) if len(found) > size else ""
        return [cast("R", record.resource) for record in records], token

    async def referring(self, name: str, kind: type[R]) -> builtins.list[R]:
        """Return the resources of this kind that refer to `name`, newest first."""
        collection = kind_of_type(kind).collection
        members = await cast("Any", self._redis.smembers(redis_keys.referrers(name)))
        # Ids sort by the time at which they were made.
        names = sorted((member.decode() for member in members), reverse=True)
        return await self.several(kind, [one for one in names if one.startswith(f"{collection}/")])

    async def several(self, kind: type[R], names: Sequence[str]) -> builtins.list[R]:
        """Return the resources with these names, in their order. Names that don't exist are left out."""
        return [cast("R", record.resource) for record in await self._records(names)]

    async def delete(self, name: str) -> None:
        """Delete a resource with everything that belongs to it (regions, labels, references to chunks).

        Raises `InvalidRequest`, `NotFound`, `ResourceInUse`, and `WrongState` for a job that has not ended.
        """
        kind_of(name)
        # Read apart from the script: references never change.
        text = await cast("Any", self._redis.hget(redis_keys.resource(name), "references"))
        references = (text or b"").decode().split()
        outcome, *detail = await self._delete(
            deletion_keys(name, references), deletion_arguments(name, references)
        )
        check_deleted(name, outcome, detail)

    async def watch(self, name: str, cursor: str) -> AsyncGenerator[tuple[Resource, str]]:
        """Yield the resource and a cursor: first as it is now, then at each change. Ends after a final state.

        With a cursor, the first item comes once the resource differs from what that cursor's item showed. An
        unchanged resource is yielded again every `watch_silence_s` seconds.

        Raises `InvalidRequest`, `CursorUnknown`, and `NotFound`, also when it is deleted meanwhile.
        """
        purpose = f"watch:{name}"
        seen = await self._opened_cursor(purpose, cursor, (await self.record(name)).revision)
        records = changed_records(name, seen, self.watch_silence_s, self.record, self.changes)
        async with aclosing(records):
            async for record in records:
                yield record.resource, await self.sealer.seal(purpose, str(record.revision))

    async def _twin(self, new: creation.NewResource[Any]) -> creation.Twin:
        """Return the newest resource that is made of the same as the new one."""
        if new.made_of is None:
            return creation.Twin()
        found = await cast("Any", self._redis.hget(redis_keys.made_of(new.collection), new.made_of.digest))
        if found is None:
            return creation.Twin()
        records = await self._records([found.decode()])
        return creation.Twin(found.decode(), bool(records) and new.made_of.is_reusable(records[0].resource))

    async def _opened_cursor(self, purpose: str, cursor: str, revision: int) -> int:
        if not cursor:
            return 0
        position = await self.sealer.open(purpose, cursor)
        if position is None or int(position) > revision:
            raise cursor_unknown()
        return int(position)

    async def _records(self, names: Sequence[str]) -> builtins.list[Record]:
        """Read resources in one round trip. Names that don't exist are left out."""
        if not names:
            return []
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            for name in names:
                pipe.hgetall(redis_keys.resource(name))
                pipe.zrank(redis_keys.QUEUE, name)
            pipe.smembers(redis_keys.RUNNING)
            # Inspections have places below this one.
            first = -redis_keys.HEAD_START
            pipe.zcount(redis_keys.QUEUE, "-inf", f"({first}")
            pipe.zrangebyscore(redis_keys.QUEUE, first, "+inf", start=0, num=QUEUE_SHOWN)
            (seconds, micros), *replies, running, inspections, waiting = await pipe.execute()
        now_ms = seconds * 1000 + micros // 1000
        jobs = sorted(one for one in map(bytes.decode, running) if kind_of(one).is_job)
        queue = Queue(jobs[:QUEUE_SHOWN], [one.decode() for one in waiting])
        return [
            read_record(name, fields, now_ms, queue, max(0, (position or 0) - inspections))
            for name, fields, position in zip(names, replies[::2], replies[1::2], strict=True)
            if fields
        ]
