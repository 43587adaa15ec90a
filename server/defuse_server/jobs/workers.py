"""The workers that live: each gives signs of life, by the clock of Redis."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.redis_client import UNREACHABLE

_INTERVAL_S: Final = 2.0
_SILENCE_S: Final = 5 * _INTERVAL_S
"""A worker that has said nothing for this long counts as dead. Its job waits for the lease all the same."""


@dataclass(frozen=True)
class LivingWorker:
    """A worker process that gave a sign of life in the last ten seconds."""

    name: str
    """`{host}#{process id}`."""
    silent_s: float


@asynccontextmanager
async def signs_of_life(redis: Redis, name: str) -> AsyncGenerator[None]:
    """Let others know that the worker `name` lives, until the block ends."""
    giving = asyncio.ensure_future(_give(redis, name))
    try:
        yield
    finally:
        await cancel_and_wait(giving)
        with contextlib.suppress(*UNREACHABLE):
            await redis.zrem(redis_keys.WORKERS, name)


async def living_workers(redis: Redis) -> list[LivingWorker]:
    """Return the workers that live, by name."""
    now_ms = await _now_ms(redis)
    dead_ms = now_ms - int(_SILENCE_S * 1000)
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.zremrangebyscore(redis_keys.WORKERS, "-inf", dead_ms)
        pipeline.zrange(redis_keys.WORKERS, 0, -1, withscores=True)
        _, seen = cast("tuple[int, list[tuple[bytes, float]]]", await pipeline.execute())
    workers = [LivingWorker(name.decode(), max(0.0, (now_ms - moment) / 1000)) for name, moment in seen]
    return sorted(workers, key=lambda worker: worker.name)


async def _give(redis: Redis, name: str) -> None:
    while True:
        with contextlib.suppress(*UNREACHABLE):
            await redis.zadd(redis_keys.WORKERS, {name: await _now_ms(redis)})
        await asyncio.sleep(_INTERVAL_S)


async def _now_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return seconds * 1000 + micros // 1000
