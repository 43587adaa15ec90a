"""Limits of what one caller may use. All processes on one Redis count together; 0 means no limit."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.access.caller import Caller
from defuse_server.errors import QuotaExceeded
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.redis_client import UNREACHABLE, Script
from defuse_server.host.settings import Settings

_FOLDER: Final = Path(__file__).parent
_DAY_S: Final = 24 * 3600
_STREAM_MS: Final = 60_000
"""A stream whose process died counts for so long."""
_STREAM_RENEWAL_S: Final = 20.0
_STREAM_RETRY_S: Final = 5.0
_REQUEST_MS: Final = 60_000
_AUDIT_RETRY_S: Final = 60.0


Keep = Callable[[str], Awaitable[None]]


@dataclass
class Charge:
    """What an upload has used of the bytes that it was charged."""

    used_bytes: int = 0


class Limits:
    """The limits of the settings, and what callers have used of them."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings = settings
        self._redis = redis
        self._request = Script(redis, _FOLDER / "take_request.lua")
        self._place = Script(redis, _FOLDER / "take_place.lua")
        self._charge = Script(redis, _FOLDER / "charge_upload.lua")

    async def take_request(self, caller: Caller) -> None:
        """Count a request. Raises `QuotaExceeded` if it comes too soon."""
        limit = self._settings.caller_requests_per_s
        if limit == 0:
            return
        wait_ms = await self._request([redis_keys.caller_requests(caller.key)], [repr(limit)])
        if wait_ms:
            raise QuotaExceeded(
                f"expected at most {limit:g} requests a second, got more: slow down",
                "DEFUSE_CALLER_REQUESTS_PER_S",
                wait_ms / 1000,
            )

    @contextlib.asynccontextmanager
    async def stream(self, caller: Caller) -> AsyncGenerator[None]:
        """Count an open stream for as long as the context lasts. Raises `QuotaExceeded`."""
        limit, key = self._settings.caller_streams, redis_keys.caller_streams(caller.key)
        if limit == 0:
            yield
            return
        stream = secrets.token_hex(8)
        if not await self._place([key], [limit, stream, _STREAM_MS]):
            raise QuotaExceeded(
                f"expected at most {limit} open watches and streams, got one more: close another",
                "DEFUSE_CALLER_STREAMS",
                _STREAM_RETRY_S,
            )
        renewing = asyncio.create_task(self._renew(key, limit, stream))
        try:
            yield
        finally:
            await cancel_and_wait(renewing)
            with contextlib.suppress(*UNREACHABLE):
                await self._redis.zrem(key, stream)

    async def _renew(self, key: str, limit: int, stream: str) -> None:
        while True:
            await asyncio.sleep(_STREAM_RENEWAL_S)
            with contextlib.suppress(*UNREACHABLE):
                await self._place([key], [limit, stream, _STREAM_MS])

    @contextlib.asynccontextmanager
    async def audit(self, caller: Caller, request_id: str) -> AsyncGenerator[Keep]:
        """Hold a place for an audit while it is made. Raises `QuotaExceeded`.

        Call what it yields with the name of the audit, which then has the place until it ends.
        """
        limit, key = self._settings.caller_audits, redis_keys.caller_audits(caller.key)

        async def keep(audit: str) -> None:
            if limit:
                await self._redis.zadd(key, {audit: "inf"})

        if limit == 0:
            yield keep
            return
        await self._drop_ended(key)
        if not await self._place([key], [limit, request_id, _REQUEST_MS]):
            raise QuotaExceeded(
                f"expected at most {limit} audits that have not ended, got one more: wait, or cancel one",
                "DEFUSE_CALLER_AUDITS",
                _AUDIT_RETRY_S,
            )
        try:
            yield keep
        finally:
            with contextlib.suppress(*UNREACHABLE):
                await self._redis.zrem(key, request_id)

    async def _drop_ended(self, key: str) -> None:
        """Give the places of audits back that have ended or are deleted."""
        members = cast("list[bytes]", await self._redis.zrange(key, 0, -1))
        names = [name for member in members if (name := member.decode()).startswith("audits/")]
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(redis_keys.resource(name), "end_ms")
                pipe.exists(redis_keys.resource(name))
            told = await pipe.execute()
        ended = [
            name
            for name, end_ms, exists in zip(names, told[::2], told[1::2], strict=True)
            if end_ms or not exists
        ]
        if ended:
            await self._redis.zrem(key, *ended)

    @contextlib.asynccontextmanager
    async def upload(self, caller: Caller, size_bytes: int) -> AsyncGenerator[Charge]:
        """Charge what an upload announces, and at the end give back what it did not use.

        Raises `QuotaExceeded`.
        """
        limit, charge = self._settings.caller_upload_bytes_per_day, Charge()
        if limit == 0:
            yield charge
            return
        now_s = time.time()
        key = redis_keys.caller_uploads(f"{caller.key}:{int(now_s // _DAY_S)}")
        used = await self._charge([key], [size_bytes, limit, 2 * _DAY_S])
        if used is not None:
            raise QuotaExceeded(
                f"expected at most {limit} bytes a day (UTC), got {size_bytes} more to {used}: wait",
                "DEFUSE_CALLER_UPLOAD_BYTES_PER_DAY",
                _DAY_S - now_s % _DAY_S,
            )
        try:
            yield charge
        finally:
            unused = size_bytes - charge.used_bytes
            if unused > 0:
                with contextlib.suppress(*UNREACHABLE):
                    await cast("Any", self._redis.decrby(key, unused))
