"""The queue of jobs: audits, corrections, evaluations, trainings, and inspections of registered resources.

pydocket carries only names to the workers, because its state expires and its arguments are pickled. The
records are the truth: `recover` puts back what the queue has lost.
"""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from defuse.v1 import models_pb2 as models
from defuse.v1.promotion_service_pb2 import Evaluation
from docket import Docket
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import NotFound
from defuse_server.host.redis_client import Script
from defuse_server.records.kinds import kind_of_type
from defuse_server.records.record import JOB_RECORD, R, Resource, awaits_audit
from defuse_server.records.resources import Resources

DOCKET_NAME = redis_keys.PREFIX + "docket"
TASK = "run_job"
"""Name under which workers register the function that runs a job."""

_TAKEN = (b"scheduled", b"queued", b"running")
"""States of pydocket's run in which a worker has the job, or will get it."""


def open_docket(redis_url: str) -> Docket:
    """Return the docket of this service. Enter it as an async context; workers register `TASK` with it."""
    docket = Docket(DOCKET_NAME, redis_url, execution_ttl=timedelta(minutes=15))
    docket.register(_run_job, names=[TASK])
    return docket


async def _run_job(name: str) -> None:
    """Take the place of the worker's function in processes that only submit jobs."""
    raise AssertionError(f"{name} was given to a process that runs no jobs")


class Jobs:
    """Submits and cancels jobs by the names of their records."""

    def __init__(self, redis: Redis, resources: Resources, docket: Docket):
        self._redis = redis
        self._resources = resources
        self.docket = docket
        """Workers register their function here."""
        self._cancel = Script(redis, JOB_RECORD, Path(__file__).with_name("cancel.lua"))

    async def submit(self, name: str) -> None:
        """Queue the job of a record. Does nothing if it is queued or runs already."""
        await self.docket.add(TASK, key=name)(name)

    async def submit_waiting(self, made: R) -> R:
        """Queue the job of a resource that waits for a worker, and return the resource.

        Do this for a repeated request, too: the first one's process may have died before it queued the job.
        """
        awaits = isinstance(made, Evaluation) and awaits_audit(made)
        if not awaits and made.state == kind_of_type(type(made)).states.waiting:
            await self.submit(made.name)
        return made

    async def short_ones(self) -> list[str]:
        """Return the names of the short jobs that wait. A worker runs them before it begins a long one."""
        waiting = cast("list[bytes]", await self._redis.zrangebyscore(redis_keys.QUEUE, "-inf", "(0"))
        return [name.decode() for name in waiting]

    async def hand_on(self, name: str) -> None:
        """Queue a job that this process still has, so that another worker goes on with it at once."""
        await self.docket.replace(TASK, when=datetime.now(UTC), key=name)(name)

    async def cancel(self, name: str) -> Resource:
        """Ask a job to stop, and return it as Get shows it then.

        A queued job is CANCELLED at once. A running job is CANCELLING until its worker has stopped the
        engine; workers look at the record about twice a second. A job that has ended stays as it is.

        Raises `NotFound`.
        """
        keys = [redis_keys.resource(name), redis_keys.QUEUE, redis_keys.AWAITING_AUDIT]
        states = [
            models.JOB_STATE_QUEUED,
            models.JOB_STATE_RUNNING,
            models.JOB_STATE_CANCELLING,
            models.JOB_STATE_CANCELLED,
        ]
        if await self._cancel(keys, [name, *states]) == 0:
            raise NotFound(name)
        job = await self._resources.get(name)
        if job.state == models.JOB_STATE_CANCELLED:
            # A running job is not cancelled through the queue: its worker sees the state in the record.
            await self.docket.cancel(name)
        return job

    async def recover(self) -> int:
        """Queue the jobs that have a record but no place in the queue, and return their number.

        Jobs lose their place if a process dies before it queues them, or if the queue loses its state.
        Workers call this regularly. It costs three reads if nothing is lost.
        """
        waiting = cast("list[bytes]", await self._redis.zrange(redis_keys.QUEUE, 0, -1))
        running = await cast("Awaitable[set[bytes]]", self._redis.smembers(redis_keys.RUNNING))
        names = [name.decode() for name in (*waiting, *running)]
        async with self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hget(self.docket.runs_key(name), "state")
            states = await pipeline.execute()
        lost = [name for name, state in zip(names, states, strict=True) if state not in _TAKEN]
        for name in lost:
            await self.submit(name)
        return len(lost)
