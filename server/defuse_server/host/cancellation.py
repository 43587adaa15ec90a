"""Cancels tasks for certain."""

import asyncio
from typing import Any

_AGAIN_S = 0.2


async def cancel_and_wait(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended, whatever they ended with.

    One cancellation is not enough: on Python 3.11, `asyncio.wait_for` swallows one that comes as its
    awaitable ends, and the Redis client waits with it at every command.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            # Looked at, so that asyncio doesn't report it as never retrieved.
            task.exception()
