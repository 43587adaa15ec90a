"""Who may write about a job: the newest attempt, until the job ends.

A worker that was paused past its lease and wakes up goes on with a job that another has taken over. So
everything that it writes carries its attempt number, and a script that sees an older one than the record's
refuses: `Fenced`.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from defuse.v1 import models_pb2 as models
from defuse.v1 import registry_service_pb2 as registry
from google.protobuf.message import Message
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import Fenced
from defuse_server.host.redis_client import Script
from defuse_server.names import collection_of
from defuse_server.records.record import JOB_RECORD

DEATHS_MAX = 3
"""A job whose workers died so often is not tried again."""


class CancelRequested(Exception):
    """Somebody cancelled the job that this attempt runs."""


@dataclass(frozen=True)
class States:
    """The numbers of a record's states, by what they mean to a worker."""

    running: int
    succeeded: int
    failed: int
    cancelling: int
    cancelled: int
    unfinished: str
    """As the scripts read it."""


JOB_STATES: Final = States(
    running=models.JOB_STATE_RUNNING,
    succeeded=models.JOB_STATE_SUCCEEDED,
    failed=models.JOB_STATE_FAILED,
    cancelling=models.JOB_STATE_CANCELLING,
    cancelled=models.JOB_STATE_CANCELLED,
    unfinished=f"{models.JOB_STATE_QUEUED},{models.JOB_STATE_RUNNING},{models.JOB_STATE_CANCELLING}",
)
REGISTRATION_STATES: Final = States(
    running=registry.REGISTRATION_STATE_INSPECTING,
    succeeded=registry.REGISTRATION_STATE_READY,
    failed=registry.REGISTRATION_STATE_REJECTED,
    # A registration can't be cancelled: no state has these numbers.
    cancelling=-1,
    cancelled=-1,
    unfinished=str(registry.REGISTRATION_STATE_INSPECTING),
)
_REGISTRATIONS = ("classifiers", "vaes", "datasets")


class Outcome(Enum):
    """What a worker got that asked for a job; the value is the script's word."""

    CLAIMED = b"CLAIMED"
    CANCELLING = b"CANCELLING"
    """It has the job, but only to end it."""
    BUSY = b"BUSY"
    """Another worker has it, and gave a sign of life a short while ago."""
    OVER = b"OVER"
    """It has ended, or its record was deleted."""


@dataclass(frozen=True)
class Claim:
    """An answer to `Fence.claim`; `attempt` is there for CLAIMED and CANCELLING."""

    outcome: Outcome
    attempt: "Attempt | None"
    deaths: int


class Fence:
    """Hands jobs to workers, one attempt after the other."""

    def __init__(self, redis: Redis, worker: str, lease_s: float):
        self._worker = worker
        # The queue redelivers at the end of the lease, and renews leases at its quarters: an attempt that was
        # silent for half of it is the one that the queue gave up.
        self._silent_ms = int(lease_s * 500)
        self._claim = _script(redis, "claim")
        self._scripts = _Scripts(
            _script(redis, "heartbeat"),
            _script(redis, "write"),
            _script(redis, "finish"),
            _script(redis, "release"),
        )

    async def claim(self, name: str) -> Claim:
        """Take a job over as its next attempt, unless another has it or it is over."""
        states = REGISTRATION_STATES if collection_of(name) in _REGISTRATIONS else JOB_STATES
        outcome, number, deaths = await self._claim(
            [redis_keys.resource(name), redis_keys.QUEUE, redis_keys.RUNNING],
            [name, self._worker, states.unfinished, states.running, states.cancelling, self._silent_ms],
        )
        attempt = Attempt(name, int(number), states, self._scripts) if number else None
        return Claim(Outcome(outcome), attempt, int(deaths))


@dataclass(frozen=True)
class _Scripts:
    heartbeat: Script
    write: Script
    finish: Script
    release: Script


class Attempt:
    """One worker's hold on one job. Every method raises `Fenced` once it has lost it."""

    def __init__(self, name: str, number: int, states: States, scripts: _Scripts):
        self.name = name
        self.number = number
        self._states = states
        self._scripts = scripts
        self._keys = [redis_keys.resource(name)]

    async def heartbeat(self) -> None:
        """Give a sign of life. Raises `CancelRequested` where the job shall stop."""
        state = await self._scripts.heartbeat(self._keys, [self.number, self._states.unfinished])
        self._unless_fenced(state)
        if state == self._states.cancelling:
            raise CancelRequested(self.name)

    async def progress(self, progress: models.Progress) -> None:
        """Publish how far the job is."""
        await self._write("progress", progress.SerializeToString())

    async def update(self, message: Message) -> None:
        """Publish what is known of the result so far."""
        await self._write("body", message.SerializeToString())

    async def remember(self, field: str, value: str) -> None:
        """Keep a value of the job beside its record, which clients don't see."""
        await self._write(field, value.encode())

    async def succeed(self, message: Message) -> None:
        """End the job with its result. Raises `CancelRequested` where a cancel came first."""
        await self._finish(self._states.succeeded, message)

    async def fail(self, message: Message, failure: models.Failure) -> None:
        """End the job without a result. Raises `CancelRequested` where a cancel came first."""
        await self._finish(self._states.failed, message, failure)

    async def end_cancelled(self, message: Message) -> None:
        """End the job as somebody asked; what was published stays."""
        await self._finish(self._states.cancelled, message)

    async def release(self) -> None:
        """Give the job back unharmed: the next claim counts no death."""
        arguments: list[str | bytes | int] = [self.name, self.number, self._states.unfinished]
        self._unless_fenced(await self._scripts.release(self._keys, arguments))

    async def _write(self, field: str, value: bytes) -> None:
        arguments: list[str | bytes | int] = [self.name, self.number, self._states.unfinished, field, value]
        self._unless_fenced(await self._scripts.write(self._keys, arguments))

    async def _finish(self, state: int, message: Message, failure: models.Failure | None = None) -> None:
        states = self._states
        answer = await self._scripts.finish(
            [*self._keys, redis_keys.RUNNING],
            [
                *(self.name, self.number, states.unfinished),
                *(state, states.cancelling, states.cancelled),
                message.SerializeToString(),
                failure.SerializeToString() if failure else b"",
            ],
        )
        self._unless_fenced(answer)
        if answer == 0:
            raise CancelRequested(self.name)

    def _unless_fenced(self, answer: int) -> None:
        if answer == -1:
            raise Fenced(self.name, self.number)


def _script(redis: Redis, name: str) -> Script:
    return Script(redis, JOB_RECORD, Path(__file__).with_name(f"{name}.lua"))
