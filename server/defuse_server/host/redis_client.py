"""Connections to Redis, and the scripts that run there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - redis names them so

UNREACHABLE = (ConnectionError, TimeoutError, BusyLoadingError)
"""Errors of a command if Redis can't be reached. The API answers them with `BackendUnavailable`."""

_CONNECT_TIMEOUT_S = 5
_COMMAND_TIMEOUT_S = 10


def connect(url: str) -> Redis:
    """Return a client of the Redis at `url`, a pool of connections. It connects at its first command."""
    # Short retries hide a restart of Redis that takes less than a second.
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), retries=4)
    return Redis.from_url(
        url,
        decode_responses=False,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_COMMAND_TIMEOUT_S,
        health_check_interval=30,
        retry=retry,
        retry_on_error=list(UNREACHABLE),
    )


class Script:
    """A Lua script of the package, run atomically by Redis."""

    def __init__(self, redis: Redis, *files: Path) -> None:
        """Make one script of several files, in their order."""
        text = "\n".join(file.read_text(encoding="utf-8") for file in files)
        self._script: AsyncScript = redis.register_script(text)

    async def __call__(self, keys: list[str], args: Sequence[str | bytes | int]) -> Any:
        """Run the script. Tables come back as lists, nil as None."""
        return await cast("Any", self._script(keys=cast("Any", keys), args=cast("Any", args)))
