"""Cancels tasks reliably."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_AGAIN_S = 0.2

T = TypeVar("T")


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


async def within(work: Coroutine[Any, Any, T], patience_s: float) -> T:
    """Await work for at most `patience_s` seconds. Raises `TimeoutError`.

    Unlike `asyncio.timeout`, this ends work whose Redis command swallows a cancellation.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=patience_s)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        await cancel_and_wait(task)
