"""The worker process of `defuse-server up`: restarted if it dies, and stopped with its parent."""

import asyncio
import contextlib
import os
import signal
import sys

import structlog
from pydantic import SecretStr

from defuse_server.host import dies_with_parent, listen
from defuse_server.host.settings import Settings

_RESTART_S = 1.0
_STOP_PATIENCE_S = 20.0
_API_ONLY = {"address", "web_address", "web_lease_s"}
_PROTECTION = {"token", "tls_cert", "tls_key"}
_WEBHOOK_ONLY = {"mlflow_webhook_address", "mlflow_webhook_secret", "mlflow_tracking_uri"}
_SECRETS = {"DEFUSE_TOKEN", "DEFUSE_MLFLOW_WEBHOOK_SECRET"}

_log = structlog.get_logger(__name__)


class WorkerProcess:
    """One `defuse-server worker` for as long as the context lasts. If it dies, it is started again.

    It gets its settings from its environment, because every user of the machine can read command lines. It
    runs in a session of its own: Ctrl-C reaches it only through its parent, after the API has drained.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the worker, or None while there is none."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> "WorkerProcess":
        self._keeping = asyncio.create_task(self._keep_alive(), name="worker process")
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_PATIENCE_S)
        if process.returncode is None:
            _log.warning("worker.killed", pid=process.pid, patience_s=_STOP_PATIENCE_S)
            process.kill()
            await process.wait()

    async def _keep_alive(self) -> None:
        while True:
            self._process = await self._start()
            _log.info("worker.started", pid=self._process.pid)
            status = await self._process.wait()
            _log.error("worker.ended", pid=self._process.pid, status=status, restart_s=_RESTART_S)
            await asyncio.sleep(_RESTART_S)

    async def _start(self) -> asyncio.subprocess.Process:
        launch = [sys.executable, "-I", "-S", dies_with_parent.__file__, str(os.getpid())]
        return await asyncio.create_subprocess_exec(
            *launch,
            *[sys.executable, "-m", "defuse_server", "worker"],
            env=_environment(self._settings),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )


def _environment(settings: Settings) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in _SECRETS}
    metrics = settings.metrics_address
    # A worker serves nothing but its metrics, which need protection beyond loopback alone.
    protection = set[str]() if metrics and not listen.is_loopback(metrics) else _PROTECTION
    values = settings.model_dump(exclude=_API_ONLY | _WEBHOOK_ONLY | protection, exclude_none=True)
    return kept | {f"DEFUSE_{field.upper()}": _text(value) for field, value in values.items()}


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
