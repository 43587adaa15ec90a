"""The queue of jobs: audits, corrections, evaluations, trainings, and inspections of registered resources.

The records in Redis are the queue. A worker takes the first job of its kinds, or one whose worker has died.
The fence (`worker/fence.py`) gives each job to one worker.
"""

from collections.abc import Collection
from pathlib import Path
from typing import cast

from defuse.v1 import models_pb2 as models
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import NotFound
from defuse_server.host.redis_client import Script
from defuse_server.names import collection_of
from defuse_server.records.record import JOB_RECORD, Resource
from defuse_server.records.resources import Resources


class Jobs:
    """Shows workers what waits, and cancels jobs by the names of their records."""

    def __init__(self, redis: Redis, resources: Resources):
        self._redis = redis
        self._resources = resources
        self._cancel = Script(redis, JOB_RECORD, Path(__file__).with_name("cancel.lua"))

    async def announce(self) -> None:
        """Wake the workers, because a job waits. If this is left out, they find it a second later."""
        await self._redis.publish(redis_keys.CHANGED, redis_keys.QUEUE)

    async def open_to(self, collections: Collection[str]) -> list[str]:
        """Return the jobs of some collections that a worker may try to claim, in the order to try.

        Running jobs come first: their worker may have died, and they are older than all that wait.
        """
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.smembers(redis_keys.RUNNING)
            pipeline.zrange(redis_keys.QUEUE, 0, -1)
            running, waiting = cast("tuple[set[bytes], list[bytes]]", await pipeline.execute())
        names = [name.decode() for name in (*sorted(running), *waiting)]
        return [name for name in names if collection_of(name) in collections]

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
        return await self._resources.get(name)
