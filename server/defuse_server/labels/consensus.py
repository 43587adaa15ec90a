"""The worker's verdicts on answers, for audits whose consensus a script can't compute."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.host.redis_client import Script

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Verdict:
    """What the worker says of a task's answers of a version: a vote, "" (ask one more), or "majority"."""

    number: int
    version: int
    vote: str


class Verdicts:
    """The answers of all audits that wait for a verdict, and the verdicts on them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._judge = Script(redis, _FOLDER / "tasks.lua", _FOLDER / "consensus.lua")

    async def unjudged(self) -> dict[str, str]:
        """Return the audits with answers that no worker has judged, and a mark of the last of them."""
        fields = await cast("Any", self._redis.hgetall(redis_keys.LABEL_UNJUDGED))
        return {audit.decode(): mark.decode() for audit, mark in fields.items()}

    async def judge(self, audit: str, seen: str, verdicts: Sequence[Verdict]) -> int:
        """Take verdicts on answers that are still the same; returns how many those were.

        `seen` is the mark of `unjudged` from before the answers were read: what came since stays unjudged.
        """
        triples = [part for one in verdicts for part in (one.number, one.version, one.vote)]
        return await self._judge(redis_keys.label_keys(audit), [audit, redis_keys.CHANGED, seen, *triples])

    async def forget_unjudged(self, audit: str) -> None:
        """Of an audit that was deleted."""
        await cast("Any", self._redis.hdel(redis_keys.LABEL_UNJUDGED, audit))
