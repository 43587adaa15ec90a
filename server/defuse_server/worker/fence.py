"""The fence: only the newest attempt at a job may write about it, and only until the job ends.

A worker that was paused past its lease may go on with a job that another has taken over. So each write
carries the number of its attempt, and the scripts refuse an older number than the record's with `Fenced`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from defuse.v1 import models_pb2 as models
from google.protobuf.message import Message
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import Fenced
from defuse_server.host.redis_client import Script
from defuse_server.records.kinds import States, kind_of
from defuse_server.records.record import JOB_RECORD

DEATHS_MAX = 3
"""A job is not tried again after this many deaths of its workers."""


class CancelRequested(Exception):
    """The job of this attempt was cancelled."""


class Outcome(Enum):
    """The outcome of a claim. Its value is the script's word."""

    CLAIMED = b"CLAIMED"
    CANCELLING = b"CANCELLING"
    """The worker has the job, but only to end it."""
    BUSY = b"BUSY"
    """Another worker has the job, and gave a recent heartbeat."""
    OVER = b"OVER"
    """The job has ended, or its record was deleted."""


@dataclass(frozen=True)
class Claim:
    """The answer to `Fence.claim`. It has an `attempt` for CLAIMED and CANCELLING."""

    outcome: Outcome
    attempt: "Attempt | None"
    deaths: int


class Fence:
    """Gives jobs to one worker as attempts."""

    def __init__(self, redis: Redis, worker: str, lease_s: float):
        self._worker = worker
        self._silent_ms = int(lease_s * 1000)
        self._claim = _script(redis, "claim")
        self._scripts = {name: _script(redis, name) for name in ("heartbeat", "write", "finish")}

    async def claim(self, name: str) -> Claim:
        """Claim a job as its next attempt, unless another worker has it or it has ended."""
        states = kind_of(name).states
        outcome, number, deaths = await self._claim(
            [redis_keys.resource(name), redis_keys.QUEUE, redis_keys.RUNNING, redis_keys.COUNTERS],
            [name, self._worker, states.unfinished, states.running, states.cancelling, self._silent_ms],
        )
        attempt = Attempt(name, int(number), states, self._scripts) if number else None
        return Claim(Outcome(outcome), attempt, int(deaths))


class Attempt:
    """One worker's attempt at one job. Every method raises `Fenced` once the worker has lost the job."""

    def __init__(self, name: str, number: int, states: States, scripts: Mapping[str, Script]):
        self.name = name
        self.number = number
        self._states = states
        self._scripts = scripts

    async def heartbeat(self) -> None:
        """Send a heartbeat. Raises `CancelRequested` if the job was cancelled."""
        if await self._run("heartbeat") == self._states.cancelling:
            raise CancelRequested(self.name)

    async def progress(self, progress: models.Progress) -> None:
        """Publish the progress of the job."""
        await self._run("write", "progress", progress.SerializeToString())

    async def update(self, message: Message) -> None:
        """Publish the result so far."""
        await self._run("write", "body", message.SerializeToString())

    async def remember(self, field: str, value: str) -> None:
        """Keep a value of the job that clients don't see."""
        await self._run("write", field, value)

    async def succeed(self, message: Message) -> None:
        """End the job with its result. Raises `CancelRequested` if a cancel came first."""
        await self._finish(self._states.succeeded, message)

    async def fail(self, message: Message, failure: models.Failure) -> None:
        """End the job without a result. Raises `CancelRequested` if a cancel came first."""
        await self._finish(self._states.failed, message, failure)

    async def end_cancelled(self, message: Message) -> None:
        """End the job as cancelled. What was published stays."""
        await self._finish(self._states.cancelled, message)

    async def release(self) -> None:
        """Give the job back, so that the next claim counts no death."""
        await self._run("write", "released", 1)

    async def _finish(self, state: int, message: Message, failure: models.Failure | None = None) -> None:
        final = (state, self._states.cancelling, self._states.cancelled)
        why = failure.SerializeToString() if failure else b""
        if await self._run("finish", *final, message.SerializeToString(), why) == 0:
            raise CancelRequested(self.name)

    async def _run(self, script: str, *arguments: str | bytes | int) -> int:
        """Run a script on the record. All of them answer -1 to a worker that no longer has the job."""
        answer = await self._scripts[script](
            [redis_keys.resource(self.name), redis_keys.RUNNING],
            [self.name, self.number, self._states.unfinished, *arguments],
        )
        if answer == -1:
            raise Fenced(self.name, self.number)
        return answer


def _script(redis: Redis, name: str) -> Script:
    return Script(redis, JOB_RECORD, Path(__file__).with_name(f"{name}.lua"))
