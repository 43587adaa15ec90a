"""Finds the names on one page of a list."""

from typing import cast

from redis.asyncio import Redis

from defuse_server import redis_keys

_FILTER_BATCH = 500


async def names_before(
    redis: Redis, collection: str, before: int | None, count: int, state: int
) -> list[tuple[str, int]]:
    """Return up to `count` pairs of name and sequence number, newest first.

    Only resources with a sequence number below `before` and in `state` (0: any) are listed.
    """
    found: list[tuple[str, int]] = []
    batch = max(count, _FILTER_BATCH) if state else count
    while len(found) < count:
        bound = "+inf" if before is None else f"({before}"
        entries = cast(
            "list[tuple[bytes, float]]",
            await redis.zrevrangebyscore(
                redis_keys.index(collection), bound, "-inf", start=0, num=batch, withscores=True
            ),
        )
        names = [(name.decode(), int(sequence)) for name, sequence in entries]
        found += await _in_state(redis, names, state) if state else names
        if len(names) < batch:
            break
        before = names[-1][1]
    return found[:count]


async def _in_state(redis: Redis, names: list[tuple[str, int]], state: int) -> list[tuple[str, int]]:
    async with redis.pipeline(transaction=False) as pipe:
        for name, _ in names:
            pipe.hget(redis_keys.resource(name), "state")
        states = await pipe.execute()
    wanted = str(state).encode()
    return [entry for entry, present in zip(names, states, strict=True) if present == wanted]
