"""Cancels tasks reliably."""

import asyncio
from typing import Any

_AGAIN_S = 0.2


async def cancel_and_wait(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended. Their errors are ignored.

    One cancellation is not enough: on Python 3.11, `asyncio.wait_for` swallows a cancellation that comes as
    its awaitable ends, and the Redis client uses it for every command.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            # Retrieved, or asyncio would report it as never retrieved.
            task.exception()
