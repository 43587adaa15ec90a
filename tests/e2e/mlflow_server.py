"""An MLflow of a test's own: the real server, with SQLite and proxied artifacts, on a free loopback port."""

from __future__ import annotations

import base64
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
from dataclasses import dataclass
from pathlib import Path

# onnx and onnxruntime are what mlflow.onnx logs models with.
PACKAGES = ("mlflow==3.17.2", "onnx==1.23.2", "onnxruntime>=1.22")
START_PATIENCE_S = 180.0
_LOG = Path(__file__).with_name("mlflow_log.py")


def install(folder: Path) -> None:
    """Make a virtual environment with it, unless it is there: it brings pandas, pyarrow and a lot more."""
    ready = folder / ".ready"
    if ready.exists() and ready.read_text() == "\n".join(PACKAGES):
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    # Most of it is never imported, and needs no bytecode.
    options = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    pip = [str(folder / "bin" / "pip"), "install", *options]
    subprocess.run([*pip, *PACKAGES], check=True)
    ready.write_text("\n".join(PACKAGES))


@dataclass(frozen=True)
class MlflowServer:
    """A server that runs, and a process that logs models to it."""

    uri: str
    artifacts: Path
    logger: subprocess.Popen[str]

    def log(self, model: str, *files: Path, kind: str = "onnx") -> list[str]:
        """Log models as users do, by `mlflow.onnx.log_model`; return the numbers of their versions.

        `kind` is `onnx`, `external` (weights beside the model, as is its default) or `python` (no ONNX).
        """
        assert self.logger.stdin is not None
        assert self.logger.stdout is not None
        asked = {"model": model, "kind": kind, "files": list(map(str, files))}
        self.logger.stdin.write(json.dumps(asked) + "\n")
        self.logger.stdin.flush()
        answer = self.logger.stdout.readline()
        assert answer, "mlflow_log.py ended; what it said stands among the captured output"
        return json.loads(answer)


@contextlib.contextmanager
def running(venv: Path, folder: Path) -> Generator[MlflowServer]:
    """Run it with its data in `folder`. Raises RuntimeError with the log's end where it doesn't come up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri, artifacts = f"http://127.0.0.1:{port}", folder / "artifacts"
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    place = ["--artifacts-destination", str(artifacts), "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "mlflow.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [venv / "bin" / "mlflow", "server", *store, *place, "--workers", "1"],
            env=os.environ | _settings(),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_up(uri, process, log)
        with _logger(venv, uri) as logger:
            yield MlflowServer(uri, artifacts, logger)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def _logger(venv: Path, uri: str) -> Generator[subprocess.Popen[str]]:
    command = [venv / "bin" / "python", _LOG, uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as logger:
        yield logger  # it ends with its input


def _settings() -> dict[str, str]:
    """Webhooks need a key for their secrets, and to be allowed to plain http and to loopback."""
    return {
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its processes take seconds to start
    }


def _wait_until_up(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{uri}/health", timeout=5).close()
            return
        time.sleep(0.3)
    last_words = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise RuntimeError(f"MLflow is not up; its last words:\n{last_words}")
