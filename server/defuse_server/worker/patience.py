"""Waits for Redis or the store to come back, as giving up would discard hours of computation."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from defuse_server.errors import BackendUnavailable
from defuse_server.host.redis_client import UNREACHABLE

PATIENCE_S = 120.0
_RETRY_S = 0.5

T = TypeVar("T")
_log = structlog.get_logger(__name__)


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat an idempotent call while Redis or the store can't be reached, for at most `PATIENCE_S`."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await call()
        except (*UNREACHABLE, BackendUnavailable) as error:
            if time.monotonic() > deadline_s:
                raise
            _log.warning("backend.unreachable", error=str(error), retry_s=_RETRY_S)
            await asyncio.sleep(_RETRY_S)
