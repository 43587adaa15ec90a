"""The state of the whole service at a glance, read from Redis in a few round trips."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from defuse.v1.models_pb2 import Progress

from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.jobs.workers import LivingWorker, living_workers
from defuse_server.names import collection_of

_LABELING_AUDITS: Final = 500
"""Only so many of the newest audits are looked at for open label tasks, so that a scrape stays cheap."""
_FIELDS: Final = ("create_ms", "queue_ms", "start_ms", "heartbeat_ms", "attempt", "worker", "progress")


@dataclass(frozen=True)
class QueuedKind:
    """The jobs of one kind that wait for a worker."""

    kind: str
    """The collection of their names, such as `audits`."""
    count: int
    oldest_s: float
    """How long the oldest has waited, in seconds."""


@dataclass(frozen=True)
class RunningJob:
    """A job that a worker has, or had when it died."""

    name: str
    kind: str
    worker: str
    attempt: int
    progress: Progress
    running_s: float
    """Seconds since its first attempt began."""
    silent_s: float
    """Seconds since its worker's last sign of life."""


@dataclass(frozen=True)
class OpenLabeling:
    """An audit with label tasks that nobody has leased or answered often enough."""

    audit: str
    tasks: int


@dataclass(frozen=True)
class Overview:
    """The state of the service at one moment."""

    time: datetime.datetime
    """Redis' time, in UTC."""
    queued: Sequence[QueuedKind]
    running: Sequence[RunningJob]
    awaiting_audit: int
    """Evaluations that wait for their audit."""
    workers: Sequence[LivingWorker]
    labelings: Sequence[OpenLabeling]
    """Of the newest audits, newest first."""
    counters: dict[str, int]
    """See `redis_keys.COUNTERS`; what never happened is missing."""


async def overview(backend: Backend) -> Overview:
    """Read the state of the service. Raises the errors of an unreachable Redis."""
    redis: Any = backend.redis
    async with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrange(redis_keys.QUEUE, 0, -1)
        pipe.smembers(redis_keys.RUNNING)
        pipe.zcard(redis_keys.AWAITING_AUDIT)
        pipe.hgetall(redis_keys.COUNTERS)
        pipe.zrevrange(redis_keys.index("audits"), 0, _LABELING_AUDITS - 1)
        (seconds, micros), waiting, running, awaiting, counters, audits = await pipe.execute()
    now_ms = seconds * 1000 + micros // 1000
    return Overview(
        time=datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC),
        queued=await _queued(redis, [name.decode() for name in waiting], now_ms),
        running=await _running(redis, sorted(name.decode() for name in running), now_ms),
        awaiting_audit=awaiting,
        workers=await living_workers(redis),
        labelings=await _labelings(redis, [name.decode() for name in audits]),
        counters={field.decode(): int(value) for field, value in counters.items()},
    )


async def _queued(redis: Any, names: Sequence[str], now_ms: int) -> list[QueuedKind]:
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(collection_of(name), []).append(name)
    # The queue is in the order in which they came, so the first of a kind has waited longest.
    records = await _records(redis, [names[0] for names in kinds.values()])
    return [
        QueuedKind(kind, len(names), _age_s(record.get("queue_ms") or record.get("create_ms"), now_ms))
        for (kind, names), record in zip(kinds.items(), records, strict=True)
    ]


async def _running(redis: Any, names: Sequence[str], now_ms: int) -> list[RunningJob]:
    return [
        RunningJob(
            name=name,
            kind=collection_of(name),
            worker=record.get("worker", b"").decode(),
            attempt=int(record.get("attempt", 0)),
            progress=Progress.FromString(record.get("progress", b"")),
            running_s=_age_s(record.get("start_ms"), now_ms),
            silent_s=_age_s(record.get("heartbeat_ms"), now_ms),
        )
        for name, record in zip(names, await _records(redis, names), strict=True)
        if record
    ]


async def _records(redis: Any, names: Sequence[str]) -> list[dict[str, bytes]]:
    """Return the fields of resources that are set, of `_FIELDS`."""
    async with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hmget(redis_keys.resource(name), _FIELDS)
        rows = cast("list[list[bytes | None]]", await pipe.execute())
    return [
        {field: value for field, value in zip(_FIELDS, row, strict=True) if value is not None} for row in rows
    ]


async def _labelings(redis: Any, audits: Sequence[str]) -> list[OpenLabeling]:
    async with redis.pipeline(transaction=False) as pipe:
        for audit in audits:
            pipe.zcard(redis_keys.label_places(audit))
        counts = await pipe.execute()
    return [OpenLabeling(audit, tasks) for audit, tasks in zip(audits, counts, strict=True) if tasks]


def _age_s(moment_ms: bytes | None, now_ms: int) -> float:
    """Return the seconds since a moment of Redis' time, 0 if it is not known."""
    return max(0, now_ms - int(moment_ms)) / 1000 if moment_ms else 0.0
