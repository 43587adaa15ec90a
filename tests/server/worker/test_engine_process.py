"""The engine's process, with small programs in the engine's place: what happens around it, not in it."""

import asyncio
import signal
import subprocess
import sys
import time

import psutil
import pytest
from defuse_server.worker import engine_process
from defuse_server.worker.engine_events import (
    ChunkReady,
    EngineFailure,
    ResultReady,
    UnreadableLine,
    parse_line,
)
from defuse_server.worker.engine_process import running_engine

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("{}", flush=True)
time.sleep(60)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_lines_become_events_and_standard_error_stays_inside(tmp_path):
    code = """
import json, sys
print(json.dumps({"event": "chunk", "shard": 0, "file": "output/a.npz", "records": 2, "candidates": 9}))
print(json.dumps({"event": "result", "file": "output/result.json"}))
print("last words", file=sys.stderr)
"""
    async with running_engine(tmp_path, command=python(code)) as engine:
        events = [event async for event in engine.events()]
        ended = await engine.exit()
    assert events == [ChunkReady(0, "output/a.npz", 2, 9), ResultReady("output/result.json")]
    assert ended.status == 0
    assert "last words" in ended.stderr_tail


@pytest.mark.parametrize(
    "line",
    [
        b"Traceback (most recent call last):\n",
        b'{"event": "dance"}\n',
        b'{"event": "result"}\n',
        b"[]\n",
        b"\xff\n",
    ],
)
def test_what_is_no_event_is_refused(line):
    with pytest.raises(UnreadableLine):
        parse_line(line)


def test_an_error_line_has_reason_message_and_figures():
    line = b'{"event": "error", "reason": "DATASET_LABELS", "message": "m", "figures": {"label": 7}}'
    assert parse_line(line) == EngineFailure("DATASET_LABELS", "m", {"label": 7})


async def test_a_line_without_end_is_refused(tmp_path):
    code = "import sys; sys.stdout.write('x' * (3 << 20)); sys.stdout.flush(); import time; time.sleep(60)"
    async with running_engine(tmp_path, command=python(code)) as engine:
        with pytest.raises(UnreadableLine):
            await anext(engine.events())


async def test_an_engine_that_ignores_sigterm_is_gone_within_two_seconds(tmp_path):
    async with running_engine(tmp_path, command=python(DEAF)) as engine:
        process = psutil.Process(engine.pid)
        with pytest.raises(UnreadableLine):
            await anext(engine.events())
        begin_s = time.monotonic()
    assert time.monotonic() - begin_s < 2.0
    assert not process.is_running()


async def test_what_the_engine_started_goes_with_it(tmp_path):
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {DEAF!r}])
print(child.pid, flush=True)
time.sleep(60)
"""
    async with running_engine(tmp_path, command=python(code)) as engine:
        with pytest.raises(UnreadableLine) as first_line:
            await anext(engine.events())
        child = psutil.Process(int(str(first_line.value).split("got '")[1].split("\\n")[0]))
        assert child.is_running()
    await gone(child)


async def test_an_engine_that_uses_too_much_memory_is_killed(tmp_path):
    code = "import time; block = bytearray(300 << 20); time.sleep(60)"
    async with running_engine(tmp_path, memory_limit_bytes=200 << 20, command=python(code)) as engine:
        ended = await engine.exit()
    assert ended.status == -signal.SIGKILL
    assert ended.memory_exceeded_bytes is not None
    assert ended.memory_exceeded_bytes > 200 << 20


async def test_an_engine_that_does_not_keep_its_own_limit_of_time_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_process, "TIME_GRACE_S", 0.2)
    async with running_engine(tmp_path, time_limit_s=0.3, command=python(DEAF)) as engine:
        ended = await engine.exit()
    assert (ended.status, ended.is_late) == (-signal.SIGKILL, True)


def test_an_engine_dies_with_its_supervisor(tmp_path):
    command = python("import time; time.sleep(60)")
    supervisor = f"""
import asyncio
from pathlib import Path
from defuse_server.worker.engine_process import running_engine

async def main():
    async with running_engine(Path({str(tmp_path)!r}), command={command!r}) as engine:
        print(engine.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen(python(supervisor), stdout=subprocess.PIPE) as process:
        engine = psutil.Process(int(process.stdout.readline()))
        assert engine.is_running()
        process.kill()
    asyncio.run(gone(engine))


async def test_the_engine_sees_few_variables_and_no_other_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DEFUSE_REDIS_URL", "redis://:secret@example")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    code = "import os, pathlib; pathlib.Path('seen').write_text(repr(dict(os.environ)))"
    async with running_engine(tmp_path, threads=1, command=python(code)) as engine:
        assert (await engine.exit()).status == 0
    seen = (tmp_path / "seen").read_text()
    assert "secret" not in seen
    assert f"'HOME': '{tmp_path}'" in seen
    assert "'OMP_NUM_THREADS': '1'" in seen


async def gone(process: psutil.Process, patience_s: float = 5.0) -> None:
    """Wait until a process has ended; fail where it does not."""
    deadline_s = time.monotonic() + patience_s
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, f"{process} is still there"
        await asyncio.sleep(0.05)
