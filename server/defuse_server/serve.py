"""Runs the processes of the service until SIGTERM or SIGINT."""

import asyncio
import contextlib
from pathlib import Path

import structlog
import typer

from defuse_server.api.server import ApiServer
from defuse_server.backend import open_backend
from defuse_server.errors import BackendUnavailable
from defuse_server.evidence import signing_key
from defuse_server.host import listen
from defuse_server.host.settings import Settings
from defuse_server.host.stop_event import stop_event
from defuse_server.host.valkey import EmbeddedValkey
from defuse_server.monitoring.metrics_server import MetricsServer
from defuse_server.worker_process import WorkerProcess

_log = structlog.get_logger(__name__)


async def serve_api(settings: Settings) -> None:
    """Run the API alone. Raises `UnsafeListen`, `BackendUnavailable`, `OSError`."""
    listen.check(settings)
    with stop_event() as stop:
        async with (
            open_backend(settings) as backend,
            MetricsServer(backend, "api", whole_service=True),
            ApiServer(backend) as api,
        ):
            _announce(settings, api.port)
            await stop.wait()
            _log.info("stopping")


async def serve_web(settings: Settings) -> None:
    """Run the pages alone. Raises `UnsafeListen`, `BackendUnavailable`, `OSError`."""
    listen.check(settings, settings.web_address)
    # Imported here: the API alone does not need it.
    from defuse_server.web.server import web_server

    with stop_event() as stop:
        async with (
            open_backend(settings) as backend,
            MetricsServer(backend, "web"),
            web_server(backend) as web,
        ):
            _announce_web(web.url)
            await stop.wait()
            _log.info("stopping")


async def serve_all(settings: Settings) -> None:
    """Run the API, the pages and a worker, and a Valkey if the settings name no Redis.

    Without a signing key, it makes one in the state folder.

    Raises `UnsafeListen`, `SigningKeyUnusable`, `OSError`, and `BackendUnavailable` if another process uses
    the state folder or if the Valkey ends.
    """
    # Checked before anything starts.
    listen.check(settings)
    listen.check(settings, settings.web_address)
    if settings.metrics_address:
        listen.check(settings, settings.metrics_address)
    from defuse_server.web.server import web_server

    key, made = _signing_key(settings)
    settings = settings.model_copy(update={"signing_key": key})
    async with contextlib.AsyncExitStack() as stack:
        stop = stack.enter_context(stop_event())
        ended: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
        if settings.redis_url is None:
            valkey = EmbeddedValkey(settings.state_dir / "valkey")
            url = await stack.enter_async_context(valkey)
            settings = settings.model_copy(update={"redis_url": url})
            ended.append(asyncio.create_task(valkey.wait()))
        backend = await stack.enter_async_context(open_backend(settings))
        # Before the worker, so that this process has the first port.
        await stack.enter_async_context(MetricsServer(backend, "up", whole_service=True))
        await stack.enter_async_context(WorkerProcess(settings))
        api = await stack.enter_async_context(ApiServer(backend))
        web = await stack.enter_async_context(web_server(backend))
        _announce(settings, api.port)
        _announce_web(web.url)
        if made:
            _announce_key(key)
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise BackendUnavailable(
                f"the embedded Valkey ended; {settings.state_dir / 'valkey' / 'valkey.log'} says why. "
                "Start the service again: everything that it acknowledged is kept"
            )
        _log.info("stopping")
        for task in ended:
            task.cancel()


def _signing_key(settings: Settings) -> tuple[Path, bool]:
    """Return a signing key that works, and whether it is new. A worker would end at once without one."""
    path = settings.signing_key or settings.state_dir / "signing-key.pem"
    made = settings.signing_key is None and not path.exists()
    if made:
        path.parent.mkdir(parents=True, exist_ok=True)
        signing_key.make(path)
    signing_key.load(path)
    return path, made


# Scripts that start the service wait for these lines.
def _announce(settings: Settings, port: int) -> None:
    address = settings.address
    if not address.startswith("unix:"):
        address = f"{address.rpartition(':')[0]}:{port}"
    _log.info("ready", address=address)
    typer.echo(f"ready: {address}")


def _announce_web(url: str) -> None:
    _log.info("web.ready", url=url)
    typer.echo(f"web: {url}")


def _announce_key(path: Path) -> None:
    public = signing_key.public_path(path)
    _log.info("signing_key.made", path=str(path), public_key=str(public))
    typer.echo(f"signing key: made {path}; evidence is verified with {public}")
