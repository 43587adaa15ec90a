"""What the workers say of themselves when they start: with which code they judge, with which key they sign.

The API reads it: it need not have the engine, and must not have the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.evaluations.code_version import own_code_version


@dataclass(frozen=True)
class Announced:
    """What the worker said that started last."""

    code_version: str
    signing_key_id: str
    """Empty where it signs nothing."""


async def announce(redis: Redis, signing_key_id: str) -> None:
    """Say it; a worker does so when it starts."""
    said = {redis_keys.CODE_VERSION: own_code_version(), redis_keys.SIGNING_KEY_ID: signing_key_id}
    await redis.mset(said)


async def announced(redis: Redis) -> Announced:
    """Read it; before any worker has said it, the code is this process's own, empty without an engine."""
    said = await redis.mget([redis_keys.CODE_VERSION, redis_keys.SIGNING_KEY_ID])
    code, key = (value.decode() if value else "" for value in cast("list[bytes | None]", said))
    return Announced(code or own_code_version(), key)
