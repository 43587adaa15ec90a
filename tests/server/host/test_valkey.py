"""The embedded Valkey. Every test runs real servers, and kills some."""

import asyncio
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest
from defuse_server.errors import BackendUnavailable
from defuse_server.host.redis_client import connect
from defuse_server.host.valkey import EmbeddedValkey
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

PARENT = """
import asyncio, sys, time
from pathlib import Path
from defuse_server.host.valkey import EmbeddedValkey

async def main():
    valkey = EmbeddedValkey(Path(sys.argv[1]))
    url = await valkey.start()
    print(valkey.pid, url, flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        # What a service does while it drains.
        from defuse_server.host.redis_client import connect
        await asyncio.sleep(0.5)
        async with connect(url) as redis:
            await redis.set("drained", "yes")
        await valkey.stop()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def modes_of_files_with(text: str, folder: Path) -> set[int]:
    files = [file for file in folder.iterdir() if file.is_file() and text in file.read_text()]
    return {stat.S_IMODE(file.stat().st_mode) for file in files}


async def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while runs(pid) and time.monotonic() < deadline:  # noqa: ASYNC110 - a process is no event
        await asyncio.sleep(0.02)
    return not runs(pid)


async def start_parent(folder: Path) -> tuple[asyncio.subprocess.Process, int, str]:
    """A process, in a group of its own, that runs an embedded Valkey; with the server's pid and URL."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(folder)), stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    pid, url = (await parent.stdout.readline()).decode().split()
    return parent, int(pid), url


async def test_data_survives_a_kill_9_of_the_server(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path)
    async with connect(await valkey.start()) as redis:
        for number in range(100):
            await redis.set(f"key-{number}", number)
        os.kill(valkey.pid, signal.SIGKILL)
        assert await asyncio.wait_for(valkey.wait(), 5) == -signal.SIGKILL
    await valkey.stop()
    async with EmbeddedValkey(tmp_path) as url, connect(url) as redis:
        assert await redis.dbsize() == 100
        assert await redis.get("key-99") == b"99"
        # A kill can't tell what a power cut would.
        assert await redis.config_get("appendfsync") == {"appendfsync": "always"}


async def test_data_survives_a_graceful_stop(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as url, connect(url) as redis:
        await redis.set("key", "value")
    async with EmbeddedValkey(tmp_path) as url, connect(url) as redis:
        assert await redis.get("key") == b"value"


async def test_a_second_server_on_one_folder_is_refused_clearly(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as url:
        second = EmbeddedValkey(tmp_path, lock_patience_s=0.1)
        with pytest.raises(BackendUnavailable, match=f"another Valkey runs in {tmp_path}"):
            await second.start()
        async with connect(url) as redis:
            assert await redis.ping()


async def test_the_server_dies_with_its_parent_and_the_next_one_finds_the_data(tmp_path: Path) -> None:
    parent, pid, url = await start_parent(tmp_path)
    async with connect(url) as redis:
        await redis.set("key", "value")
    parent.kill()
    await parent.wait()
    assert await gone(pid)
    async with EmbeddedValkey(tmp_path) as url, connect(url) as redis:
        assert await redis.get("key") == b"value"


async def test_a_folder_stays_locked_until_its_server_is_really_gone(tmp_path: Path) -> None:
    parent, pid, _ = await start_parent(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    with pytest.raises(BackendUnavailable, match="another Valkey"):
        await EmbeddedValkey(tmp_path, lock_patience_s=0.2).start()
    os.kill(pid, signal.SIGCONT)
    async with EmbeddedValkey(tmp_path) as url, connect(url) as redis:
        assert await redis.ping()


async def test_ctrl_c_leaves_the_server_to_its_parent_until_that_has_drained(tmp_path: Path) -> None:
    parent, pid, _ = await start_parent(tmp_path)
    os.killpg(parent.pid, signal.SIGINT)
    assert await asyncio.wait_for(parent.wait(), 20) == 0
    assert await gone(pid)
    async with EmbeddedValkey(tmp_path) as url, connect(url) as redis:
        assert await redis.get("drained") == b"yes"


async def test_the_password_is_needed_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path)
    async with valkey as url:
        async with Redis.from_url("redis://" + url.rpartition("@")[2]) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()
        password = url.split(":")[2].partition("@")[0]
        assert modes_of_files_with(password, tmp_path) == {0o600}
        assert password not in command_line(valkey.pid)


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("in the way")
    with pytest.raises(BackendUnavailable, match="appendonlydir"):
        await EmbeddedValkey(tmp_path).start()
    # And leaves no lock behind.
    (tmp_path / "appendonlydir").unlink()
    async with EmbeddedValkey(tmp_path) as url, connect(url) as redis:
        assert await redis.ping()
