"""The process of `defuse-server mlflow-webhook`: a server of webhooks, and the gating of versions."""

import asyncio
import contextlib

import structlog
import typer
from defuse.aio import AsyncClient
from defuse.model_registries.mlflow import MlflowRegistry

from defuse_server.errors import BackendUnavailable
from defuse_server.host import listen
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.http_server import HttpServer
from defuse_server.host.redis_client import connect
from defuse_server.host.settings import Settings
from defuse_server.host.stop_event import stop_event
from defuse_server.host.valkey import EmbeddedValkey
from defuse_server.mlflow_webhook.app import PATH, create_app
from defuse_server.mlflow_webhook.gating import Gating
from defuse_server.mlflow_webhook.inbox import Inbox

_log = structlog.get_logger(__name__)


async def serve_webhook(settings: Settings) -> None:
    """Receive and gate until SIGTERM or SIGINT. A gate under way continues at the next start.

    Raises `UnsafeListen`, `BackendUnavailable`, `OSError`, and `RegistryError` without MLflow's client.
    """
    address = settings.mlflow_webhook_address
    listen.check(settings, address, signed=True)
    if settings.mlflow_webhook_secret is None:
        raise ValueError("expected settings with mlflow_webhook_secret, got none")
    registry = MlflowRegistry(settings.mlflow_tracking_uri)
    async with contextlib.AsyncExitStack() as stack:
        stop = stack.enter_context(stop_event())
        ended: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
        url = settings.redis_url
        if url is None:
            valkey = EmbeddedValkey(settings.state_dir / "mlflow-webhook")
            url = await stack.enter_async_context(valkey)
            ended.append(asyncio.create_task(valkey.wait()))
        redis = connect(url)
        stack.push_async_callback(redis.aclose)
        inbox = Inbox(redis, lease_s=settings.lease_s)
        token = settings.token.get_secret_value() if settings.token else None
        client = await stack.enter_async_context(AsyncClient(settings.address, token))
        gating = asyncio.create_task(Gating(inbox, registry, client).run(), name="gating")
        stack.push_async_callback(cancel_and_wait, gating)
        app = create_app(inbox, settings.mlflow_webhook_secret.get_secret_value())
        server = HttpServer(
            app, settings, address, what="the webhook's receiver", option="--mlflow-webhook-address"
        )
        await stack.enter_async_context(server)
        _log.info("webhook.ready", url=server.url + PATH)
        # Scripts that start the process wait for this line.
        typer.echo(f"webhook: {server.url}{PATH}")
        await asyncio.wait([*ended, gating], return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.cancel()
        if gating.done():
            gating.result()
        if not stop.is_set():
            raise BackendUnavailable("the embedded Valkey ended. Start again: all accepted events are kept")
        _log.info("stopping")
