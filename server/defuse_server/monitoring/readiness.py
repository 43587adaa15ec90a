"""Whether the service can work: its Redis, its store, and a worker."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from defuse_server.backend import Backend
from defuse_server.errors import BackendUnavailable
from defuse_server.host.cancellation import within
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.jobs.workers import living_workers

PATIENCE_S: Final = 3.0
"""Probes wait no longer than this: what asks for them gives up after a few seconds, too."""


@dataclass(frozen=True)
class Readiness:
    """What is wrong with each dependency, empty if nothing is."""

    redis: str
    store: str
    workers: int | None
    """Workers that live; None while Redis, which knows them, can't be reached."""

    @property
    def ready(self) -> bool:
        """Whether calls can be answered. Without a worker they can: jobs wait in the queue."""
        return not self.redis and not self.store


async def readiness(backend: Backend, store: str | None = None) -> Readiness:
    """Probe Redis, the store and the workers, each for `PATIENCE_S` at most.

    `store` is an earlier answer of the store that is still good: some stores charge for each question.
    """
    if store is None:
        redis, store = await asyncio.gather(problem(ping(backend)), problem(backend.store.probe()))
    else:
        redis = await problem(ping(backend))
    workers: int | None = None
    if not redis:
        try:
            workers = len(await within(living_workers(backend.redis), PATIENCE_S))
        except (TimeoutError, *UNREACHABLE) as error:
            redis = str(error) or "no answer"
    return Readiness(redis, store, workers)


async def ping(backend: Backend) -> None:
    """Ping Redis. Raises the errors of an unreachable one."""
    await backend.redis.execute_command("PING")


async def problem(probe: Coroutine[Any, Any, None], patience_s: float = PATIENCE_S) -> str:
    """Return what is wrong with what a probe looks at, or an empty text."""
    try:
        await within(probe, patience_s)
    except TimeoutError:
        return f"no answer in {patience_s:g} s"
    except (BackendUnavailable, *UNREACHABLE) as error:
        return str(error) or type(error).__name__
    return ""
