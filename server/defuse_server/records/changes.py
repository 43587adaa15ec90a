"""Notifies waiting tasks of this process that a resource changed, over one connection."""

import asyncio
import contextlib
from collections.abc import Generator
from typing import cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.redis_client import UNREACHABLE

_RECONNECT_S = 0.5
_MESSAGE_PATIENCE_S = 5.0


class Changes:
    """The channel `CHANGED`, split by name. It listens while a task waits."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def subscribed(self, name: str) -> Generator[asyncio.Event]:
        """Yield an event that is set whenever the resource changes.

        Clear the event, read the resource, then wait for the event: that misses no change. Wait with a
        timeout and read again, because nothing sets the event while Redis can't be reached.
        """
        event = asyncio.Event()
        self._waiting.setdefault(name, set()).add(event)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="defuse changes")
        try:
            yield event
        finally:
            events = self._waiting[name]
            events.discard(event)
            if not events:
                del self._waiting[name]
            if not self._waiting:
                self._stop_listening()

    async def aclose(self) -> None:
        """Release the connection. Call this before you close the Redis client."""
        self._stop_listening()
        await cancel_and_wait(*self._ending)

    def _stop_listening(self) -> None:
        # Forgotten at once: a subscriber that comes while it ends needs another one.
        task, self._listening = self._listening, None
        if task is not None:
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    async def _listen(self) -> None:
        while self._is_listening():
            with contextlib.suppress(*UNREACHABLE):
                await self._listen_once()
            await asyncio.sleep(_RECONNECT_S)

    async def _listen_once(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(redis_keys.CHANGED)
            # They may have changed before the subscription began.
            for name in list(self._waiting):
                self._wake(name)
            while self._is_listening():
                message = await channel.get_message(timeout=_MESSAGE_PATIENCE_S)
                if message is not None:
                    self._wake(cast("bytes", message["data"]).decode())

    def _is_listening(self) -> bool:
        """Tell whether this task is still wanted; see `host.cancellation`."""
        return self._listening is asyncio.current_task()

    def _wake(self, name: str) -> None:
        for event in self._waiting.get(name, ()):
            event.set()
