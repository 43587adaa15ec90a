"""The chunks of audits: references to the misclassifications that each shard found."""

import builtins
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import Fenced
from defuse_server.host.redis_client import Script


@dataclass(frozen=True)
class Chunk:
    """A finished shard of the search. Its transcoded misclassifications are an artifact."""

    shard: int
    sha256: str
    size_bytes: int
    records: int
    candidates: int
    arrays_sha256: str
    """Digest of the engine's own file of the shard, from which a resumed job starts."""
    seeds: int = 0
    """Seeds that took part. Chunks of older servers have 0."""


class Chunks:
    """The chunks of all audits, each audit's in shard order."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._append = Script(redis, Path(__file__).with_name("append_chunk.lua"))

    async def append(self, audit: str, chunk: Chunk, attempt: int) -> bool:
        """Publish a chunk. Returns False if that shard is already published.

        Raises `Fenced` if `attempt` no longer has the job, `ValueError` if the previous shard is missing.
        """
        reference = asdict(chunk)
        del reference["shard"]
        outcome = await self._append(
            [redis_keys.resource(audit), redis_keys.chunks(audit)],
            [
                audit,
                redis_keys.CHANGED,
                attempt,
                chunk.shard,
                json.dumps(reference),
                chunk.records,
                chunk.candidates,
                chunk.seeds,
            ],
        )
        if outcome == b"fenced":
            raise Fenced(audit, attempt)
        if outcome == b"gap":
            raise ValueError(f"{audit}: expected chunk {chunk.shard - 1} before chunk {chunk.shard}")
        return outcome == b"published"

    async def list(self, audit: str, first_shard: int = 0, limit: int = 1000) -> builtins.list[Chunk]:
        """Return up to `limit` chunks from `first_shard` on, in order and without gaps."""
        shards = [str(shard) for shard in range(first_shard, first_shard + limit)]
        references = await cast("Any", self._redis.hmget(redis_keys.chunks(audit), shards))
        return [
            Chunk(shard=shard, **json.loads(reference))
            for shard, reference in enumerate(references, start=first_shard)
            if reference is not None
        ]
