"""A Label Studio of a test's own: the real package, with SQLite, on a free loopback port."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

VERSION = "1.20.0"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
START_PATIENCE_S = 240.0


def install(folder: Path) -> None:
    """Make a virtual environment with it: it pins redis < 5.3, so it can't be in ours."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # Most of it is never imported, and needs no bytecode.
    options = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    pip = [str(folder / "bin" / "pip"), "install", *options]
    subprocess.run([*pip, f"label-studio=={VERSION}"], check=True)


class LabelStudio:
    """Its HTTP API, as its first user."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def create_project(self, config: str) -> dict[str, Any]:
        return self._json("POST", "/api/projects", {"title": "Defuse", "label_config": config})

    def import_file(self, project: int, path: Path) -> dict[str, Any]:
        """Import tasks as the page does: a file in a form."""
        boundary = "boundary-of-the-form"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
        kind = "Content-Type: application/json\r\n\r\n"
        body = (head + kind).encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        form = f"multipart/form-data; boundary={boundary}"
        return json.loads(self._ask("POST", f"/api/projects/{project}/import", body, form))

    def annotate(self, task: int, choice: str | None, note: str = "") -> None:
        """Answer a task; None: skip it."""
        parts = [("label", "choices", {"choices": [choice]})] if choice is not None else []
        parts += [("note", "textarea", {"text": [note]})] if note else []
        result = [
            {"from_name": name, "to_name": "image", "type": kind, "value": value}
            for name, kind, value in parts
        ]
        self._json(
            "POST", f"/api/tasks/{task}/annotations/", {"result": result, "was_cancelled": choice is None}
        )

    def export(self, project: int, kind: str = "JSON") -> bytes:
        return self._ask("GET", f"/api/projects/{project}/export?exportType={kind}&download_all_tasks=true")

    def is_up(self) -> bool:
        try:
            self._ask("GET", "/health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def _json(self, method: str, path: str, body: object) -> dict[str, Any]:
        return json.loads(self._ask(method, path, json.dumps(body).encode(), "application/json"))

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        headers = {"Authorization": f"Token {TOKEN}", **({"Content-Type": kind} if kind else {})}
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read()


@contextlib.contextmanager
def running(venv: Path, folder: Path) -> Generator[LabelStudio]:
    """Run it with its data in `folder`. Raises RuntimeError with the log's end where it doesn't come up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = ["--username", "ann@example.com", "--password", "not-a-secret-1", "--user-token", TOKEN]
    place = ["--internal-host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder)]
    quiet = {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": ""}
    environment = {
        **os.environ,
        **quiet,
        "FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
    }
    log = folder / "label-studio.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                venv / "bin" / "label-studio",
                "start",
                "--no-browser",
                "--enable-legacy-api-token",
                *user,
                *place,
            ],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _when_up(LabelStudio(port), process, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _when_up(studio: LabelStudio, process: subprocess.Popen[bytes], log: Path) -> LabelStudio:
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if studio.is_up():
            return studio
        time.sleep(0.5)
    last_words = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise RuntimeError(f"Label Studio is not up; its last words:\n{last_words}")
