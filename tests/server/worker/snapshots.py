"""What a service held at one moment, put back for further tests: one audit serves them all."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from redis.asyncio import Redis

T = TypeVar("T")


@dataclass(frozen=True)
class Snapshot:
    keys: dict[bytes, tuple[int, bytes]]
    """Each key's remaining life in milliseconds (0: for ever) and its dumped value."""
    files: Path
    result: object
    """What the work returned that led here."""


class Snapshots:
    """The state after each long piece of work, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: dict[str, Snapshot] = {}

    async def once(self, name: str, redis: Redis, folder: Path, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` returns, and leave the state that it leaves; it runs the first time alone.

        No worker may run, before or after `work`.
        """
        if name in self._taken:
            await self._restore(self._taken[name], redis, folder)
        else:
            self._taken[name] = await self._take(name, redis, folder, await work())
        return copy.deepcopy(self._taken[name].result)  # type: ignore[return-value]

    async def _take(self, name: str, redis: Redis, folder: Path, result: object) -> Snapshot:
        keys: dict[bytes, tuple[int, bytes]] = {}
        async for key in redis.scan_iter():
            dumped = await redis.dump(key)
            if dumped is not None:  # else its life ended since the scan
                keys[key] = (max(await redis.pttl(key), 0), dumped)
        copied = self._folder / name.replace(" ", "-")
        shutil.copytree(folder, copied)
        return Snapshot(keys, copied, result)

    async def _restore(self, snapshot: Snapshot, redis: Redis, folder: Path) -> None:
        await redis.flushdb()
        for key, (life_ms, dumped) in snapshot.keys.items():
            await redis.restore(key, life_ms, dumped)
        shutil.rmtree(folder)
        shutil.copytree(snapshot.files, folder)
