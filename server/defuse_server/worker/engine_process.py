"""The engine's process: it starts without credentials, is watched, and never outlives its supervisor.

Models come from strangers, and only the engine opens them. It runs in a session and process group of its own,
with an environment of a few harmless variables. The kernel ends it when its supervisor dies.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from defuse_server.host import dies_with_parent
from defuse_server.worker.engine_events import EngineEvent, UnreadableLine, parse_line

TERM_GRACE_S = 0.7
"""Time between SIGTERM and SIGKILL. With the supervisor's heartbeat, a cancel takes less than 2 s."""
MEMORY_CHECK_S = 0.5
TIME_GRACE_S = 10.0
"""From its limit of time to the kill: the engine itself reports at the limit what took so long."""
LINE_LIMIT_BYTES = 1 << 20
STDERR_TAIL_BYTES = 16 << 10

_running: set["EngineProcess"] = set()

# Variables that a numeric program may need. No other variable reaches a process that opens foreign models: no
# DEFUSE_*, no credentials of a cloud or of Redis.
PASSED_ENVIRONMENT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class EngineExit:
    """How an engine ended: 0 after a result, 3 after an error line, any other status is a crash."""

    status: int
    """As in `subprocess`: negative for a signal."""
    stderr_tail: str
    """For the worker's log only, as it may quote foreign files."""
    memory_exceeded_bytes: int | None
    """Resident memory at which it was killed, or None."""
    is_late: bool = False
    """Whether it was killed after its limit of time."""


class EngineProcess:
    """A running engine, made by `running_engine`."""

    def __init__(self, process: asyncio.subprocess.Process, memory_limit_bytes: int, time_limit_s: float):
        self._process = process
        self._memory_limit_bytes = memory_limit_bytes
        self._memory_exceeded_bytes: int | None = None
        self._is_late = False
        self._stderr_tail = b""
        _running.add(self)
        self._helpers = [asyncio.create_task(self._keep_stderr())]
        if memory_limit_bytes > 0:
            self._helpers.append(asyncio.create_task(self._watch_memory()))
        if time_limit_s > 0:
            self._helpers.append(asyncio.create_task(self._end_late(time_limit_s + TIME_GRACE_S)))

    @property
    def pid(self) -> int:
        """The id of its process and of its process group."""
        return self._process.pid

    async def events(self) -> AsyncIterator[EngineEvent]:
        """Yield its events until it closes its output. Raises `UnreadableLine`."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - it was started with a pipe
        try:
            while line := await stdout.readline():
                yield parse_line(line)
        except ValueError as error:
            raise UnreadableLine(f"a line is longer than {LINE_LIMIT_BYTES} bytes") from error

    async def exit(self) -> EngineExit:
        """Wait until it has ended."""
        status = await self._process.wait()
        # The last bytes of the pipe may come after the process has ended.
        await asyncio.wait(self._helpers[:1], timeout=TERM_GRACE_S)
        stderr_tail = self._stderr_tail.decode(errors="replace")
        return EngineExit(status, stderr_tail, self._memory_exceeded_bytes, self._is_late)

    async def stop(self) -> None:
        """End the process group with SIGTERM, and with SIGKILL after `TERM_GRACE_S`."""
        try:
            if self._process.returncode is None:
                self._signal_group(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TERM_GRACE_S):
                        await self._process.wait()
        finally:
            self._signal_group(signal.SIGKILL)
            for helper in self._helpers:
                helper.cancel()
        await self._process.wait()
        _running.discard(self)
        await asyncio.gather(*self._helpers, return_exceptions=True)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    async def _keep_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101 - it was started with a pipe
        while data := await stderr.read(4096):
            self._stderr_tail = (self._stderr_tail + data)[-STDERR_TAIL_BYTES:]

    async def _watch_memory(self) -> None:
        """Kill the engine above the limit. Its own limit is on addresses, of which CUDA maps many."""
        with contextlib.suppress(psutil.NoSuchProcess):
            watched = psutil.Process(self._process.pid)
            while True:
                resident_bytes = watched.memory_info().rss
                if resident_bytes > self._memory_limit_bytes:
                    self._memory_exceeded_bytes = resident_bytes
                    self._signal_group(signal.SIGKILL)
                    return
                await asyncio.sleep(MEMORY_CHECK_S)

    async def _end_late(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._is_late = self._process.returncode is None
        self._signal_group(signal.SIGKILL)


def resident_bytes() -> int:
    """Return the resident memory of this process's engines and of their own children, in bytes."""
    total_bytes = 0
    for engine in tuple(_running):
        with contextlib.suppress(psutil.Error):
            own = psutil.Process(engine.pid)
            for process in (own, *own.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total_bytes += process.memory_info().rss
    return total_bytes


@asynccontextmanager
async def running_engine(
    folder: Path,
    *,
    memory_limit_bytes: int = 0,
    time_limit_s: float = 0,
    threads: int = 0,
    command: Sequence[str] = (),
) -> AsyncGenerator[EngineProcess]:
    """Run the engine on a job folder for as long as the context lasts.

    A limit of 0 is none, and `threads` of 0 uses all cores. `TIME_GRACE_S` after `time_limit_s`, the engine
    is killed. `command` replaces the engine's own command.
    """
    # -P: the folder's files must not become importable modules.
    engine_command = command or (sys.executable, "-P", "-m", "defuse_engine", str(folder))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", dies_with_parent.__file__, str(os.getpid())),
        *engine_command,
        cwd=folder,
        env=engine_environment(folder, threads),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT_BYTES,
        start_new_session=True,
    )
    engine = EngineProcess(process, memory_limit_bytes, time_limit_s)
    try:
        yield engine
    finally:
        await engine.stop()


def engine_environment(folder: Path, threads: int) -> dict[str, str]:
    """Return the engine's variables. Its home and its temporary files are in its folder."""
    passed = {name: os.environ[name] for name in PASSED_ENVIRONMENT if name in os.environ}
    # BLAS libraries read these when they are loaded, before the engine can set anything. With more threads
    # than cores they take several times the CPU time.
    limited = {name: str(threads) for name in THREAD_VARIABLES} if threads else {}
    return {**passed, **limited, "HOME": str(folder), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
