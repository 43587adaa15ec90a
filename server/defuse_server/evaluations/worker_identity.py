"""What the workers say of themselves when they start: with which code they judge, with which key they sign.

The API reads it: it need not have the engine, and must not have the key.
"""

from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.evaluations.code_version import own_code_version


@dataclass(frozen=True)
class WorkerIdentity:
    """What the worker said that started last."""

    code_version: str
    signing_key_id: str
    """Empty where it signs nothing."""


async def publish_worker_identity(redis: Redis, signing_key_id: str) -> None:
    """Say it; a worker does so when it starts."""
    said = {redis_keys.CODE_VERSION: own_code_version(), redis_keys.SIGNING_KEY_ID: signing_key_id}
    await redis.mset(said)


async def read_worker_identity(redis: Redis) -> WorkerIdentity:
    """Read it; before any worker has said it, the code is this process's own, empty without an engine."""
    said = await redis.mget([redis_keys.CODE_VERSION, redis_keys.SIGNING_KEY_ID])
    code, key = (value.decode() if value else "" for value in cast("list[bytes | None]", said))
    return WorkerIdentity(code or own_code_version(), key)
