"""Accepted events that are not done, in Redis. They survive the process."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

from redis.asyncio import Redis

from defuse_server import redis_keys as keys
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.redis_client import UNREACHABLE, Script

REMEMBERED_S: Final = 3600
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Event:
    """A new version of a model."""

    model: str
    version: str
    tries: int = 0
    """How often it was put off."""
    failures: int = 0
    """How often an unexpected error was the reason."""


@dataclass(frozen=True)
class Claimed:
    """An event that this process has leased."""

    delivery: str
    event: Event


class Inbox:
    """Accepts events once, and leases each until it is done.

    If a process is paused past its lease, another gets the event, too. Both come to the same evaluation and
    write the same tags, so a gate is safe to repeat.
    """

    def __init__(self, redis: Redis, *, lease_s: float) -> None:
        self._redis = redis
        self._lease_ms = round(1000 * lease_s)
        self._accept = Script(redis, _HERE / "accept.lua")
        self._claim = Script(redis, _HERE / "claim.lua")
        self._postpone = Script(redis, _HERE / "postpone.lua")

    async def accept(self, delivery: str, event: Event) -> bool:
        """Store an event; it survives a crash. Returns False if the delivery came before."""
        where = [keys.WEBHOOK_DELIVERIES, keys.WEBHOOK_EVENTS, keys.WEBHOOK_DUE]
        return bool(await self._accept(where, [delivery, json.dumps(asdict(event)), 1000 * REMEMBERED_S]))

    async def claim(self) -> Claimed | None:
        """Lease an event that is due, or return None."""
        answer = await self._claim([keys.WEBHOOK_EVENTS, keys.WEBHOOK_DUE], [self._lease_ms])
        if answer is None:
            return None
        delivery, event = cast("list[bytes]", answer)
        return Claimed(delivery.decode(), Event(**json.loads(event)))

    @asynccontextmanager
    async def held(self, claimed: Claimed) -> AsyncGenerator[None]:
        """Keep the lease while the context lasts."""
        renewing = asyncio.create_task(self._renew(claimed), name="lease of a webhook's event")
        try:
            yield
        finally:
            await cancel_and_wait(renewing)

    async def postpone(self, claimed: Claimed, event: Event, delay_s: float) -> None:
        """Make the event due again after a delay, with its new counts."""
        await self._due_in(claimed, round(1000 * delay_s), json.dumps(asdict(event)))

    async def finish(self, claimed: Claimed) -> None:
        """Remove an event that is done."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(keys.WEBHOOK_DUE, claimed.delivery)
            pipe.hdel(keys.WEBHOOK_EVENTS, claimed.delivery)
            await cast(Any, pipe.execute())

    async def _renew(self, claimed: Claimed) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            with contextlib.suppress(*UNREACHABLE):
                await self._due_in(claimed, self._lease_ms, "")

    async def _due_in(self, claimed: Claimed, delay_ms: int, event: str) -> None:
        await self._postpone([keys.WEBHOOK_EVENTS, keys.WEBHOOK_DUE], [claimed.delivery, delay_ms, event])
