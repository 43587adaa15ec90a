"""Which code judges: the distribution's version, and a digest of the sources that a verdict depends on.

The workers' code judges, so they say what it is (`announce`), and the API reads it: a process with the API
alone need not have the engine. Only where no worker has ever spoken up does a process take its own.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, cast

from redis.asyncio import Redis

from defuse_server import redis_keys

_DISTRIBUTION: Final = "defuse-audit"
_DIGITS: Final = 12


@cache
def own_code_version() -> str:
    """As "0.1.0+3f9a1c2b7d44"; empty where the engine is not installed beside this code.

    The sources are read, never imported: this process must not load the engine.
    """
    engine = find_spec("defuse_engine")
    if engine is None or not engine.submodule_search_locations:
        return ""
    (folder, *_) = engine.submodule_search_locations
    digest = hashlib.sha256()
    for name, sources in (("engine", Path(folder)), ("gate", Path(__file__).with_name("gate"))):
        for file in sorted(sources.rglob("*.py")):
            path = f"{name}/{file.relative_to(sources).as_posix()}"
            # Of fixed length each, so that no two sets of files digest alike.
            digest.update(hashlib.sha256(path.encode()).digest())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{_distribution_version()}+{digest.hexdigest()[:_DIGITS]}"


async def announce(redis: Redis) -> None:
    """Say with which code the workers judge; a worker does so when it starts."""
    await redis.set(redis_keys.CODE_VERSION, own_code_version())


async def workers_code_version(redis: Redis) -> str:
    """What the worker said that started last; before any did, this process's own, empty without an engine."""
    announced = cast("bytes | None", await redis.get(redis_keys.CODE_VERSION))
    return announced.decode() if announced else own_code_version()


def _distribution_version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        # Run from a folder of sources; their digest tells them apart.
        return "0"
