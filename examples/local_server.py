"""A Defuse server with an embedded store, which lives as long as an example runs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

READY = re.compile(r"^ready: (\S+)$", re.MULTILINE)
"""What `defuse-server up` prints once it serves."""
START_PATIENCE_S = 60.0
STOP_PATIENCE_S = 30.0


@contextlib.contextmanager
def local_server(folder: Path, **settings: str) -> Generator[str]:
    """Run `defuse-server up` on a free loopback port, with its state in `folder`, and yield its address.

    `settings` are the server's: `token="..."` sets DEFUSE_TOKEN. The log is `folder / "server.log"`. Raises
    RuntimeError with the end of the log if the server does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The shell's settings are for a real server: this one must not touch a real server's data.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEFUSE_")}
    ours = {
        "DEFUSE_ADDRESS": "127.0.0.1:0",
        "DEFUSE_WEB_ADDRESS": "127.0.0.1:0",
        "DEFUSE_STATE_DIR": str(folder / "state"),
        "DEFUSE_STORE_URL": str(folder / "store"),
        "DEFUSE_THREADS": "1",  # models this small are no faster with more
        **{f"DEFUSE_{name.upper()}": value for name, value in settings.items()},
    }
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("defuse-server"), "up"],
            env=inherited | ours,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only the demo, which then stops the server
        )
        try:
            yield _address_when_ready(process, log)
        finally:
            _stop(process)


def _address_when_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := READY.search(log.read_text(errors="replace")):
            return found.group(1)
        time.sleep(0.1)
    state = "is not ready" if process.poll() is None else f"ended with status {process.returncode}"
    log_end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise RuntimeError(f"the server {state}; the end of {log}:\n{log_end}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
