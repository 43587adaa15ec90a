"""Consensus estimates: a worker makes them for methods that no Lua script can compute."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.host.redis_client import Script

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ConsensusEstimate:
    """The estimate for one version of a task's answers.

    `vote` is the estimated answer, "" to ask one more annotator, or "majority" to take the majority's vote.
    """

    number: int
    version: int
    vote: str


class ConsensusEstimates:
    """The audits whose answers wait for an estimate, and the estimates that are published for them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._publish = Script(redis, _FOLDER / "tasks.lua", _FOLDER / "publish_estimates.lua")

    async def pending(self) -> dict[str, str]:
        """Return the audits with new answers, each with a mark of its last answer."""
        fields = await cast("Any", self._redis.hgetall(redis_keys.LABEL_ESTIMATES_DUE))
        return {audit.decode(): mark.decode() for audit, mark in fields.items()}

    async def publish(self, audit: str, mark: str, estimates: Sequence[ConsensusEstimate]) -> int:
        """Publish the estimates whose answers have not changed since, and return how many those are.

        Pass the `mark` that `pending` gave before you read the answers. Later answers stay pending.
        """
        triples = [part for one in estimates for part in (one.number, one.version, one.vote)]
        return await self._publish(redis_keys.label_keys(audit), [audit, redis_keys.CHANGED, mark, *triples])

    async def forget(self, audit: str) -> None:
        """Remove a deleted audit from the pending ones."""
        await cast("Any", self._redis.hdel(redis_keys.LABEL_ESTIMATES_DUE, audit))
