"""A lane: runs jobs of some kinds, one after the other. The lanes of a worker run side by side."""

import asyncio
from collections.abc import Collection
from typing import Final

import structlog

from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.worker.supervisor import Supervisor

_POLL_S: Final = 1.0
"""Interval of looks into the queue: a worker that dies announces nothing."""
_log = structlog.get_logger(__name__)


async def run_lane(backend: Backend, supervisor: Supervisor, collections: Collection[str]) -> None:
    """Run jobs of these collections until the supervisor is told to stop. Then hand the running one on."""
    with backend.resources.changes.subscribed(redis_keys.QUEUE) as queued:
        while not supervisor.stopping.is_set():
            queued.clear()
            try:
                if await _run_first(backend, supervisor, collections):
                    continue
            except UNREACHABLE as error:
                _log.warning("queue.unreachable", error=str(error))
            except Exception as error:
                # The job stays claimed, and is tried again after its lease.
                _log.error("lane.failed", exc_info=error)
            await _either(queued, supervisor.stopping)


async def _run_first(backend: Backend, supervisor: Supervisor, collections: Collection[str]) -> bool:
    """Run the first job that this worker gets. Returns whether there was one."""
    for name in await backend.jobs.open_to(collections):
        if supervisor.stopping.is_set():
            return False
        if await supervisor.run(name):
            # Something may have come meanwhile that goes before the rest.
            return True
    return False


async def _either(*events: asyncio.Event) -> None:
    """Wait for one of the events, for at most `_POLL_S`."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
