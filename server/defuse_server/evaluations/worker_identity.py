"""The identity of the workers: their code version and their signing key.

Each worker publishes it when it starts. The API reads it, because it may lack the engine and must not have
the key.
"""

from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.evaluations.code_version import own_code_version


@dataclass(frozen=True)
class WorkerIdentity:
    """The identity of the worker that started last."""

    code_version: str
    signing_key_id: str
    """Empty if it signs nothing."""


async def publish_worker_identity(redis: Redis, signing_key_id: str) -> None:
    """Publish the identity of this worker."""
    await redis.mset({redis_keys.CODE_VERSION: own_code_version(), redis_keys.SIGNING_KEY_ID: signing_key_id})


async def read_worker_identity(redis: Redis) -> WorkerIdentity:
    """Return the published identity. Without one, the code version is this process's own."""
    values = await redis.mget([redis_keys.CODE_VERSION, redis_keys.SIGNING_KEY_ID])
    code, key = (value.decode() if value else "" for value in cast("list[bytes | None]", values))
    return WorkerIdentity(code or own_code_version(), key)
