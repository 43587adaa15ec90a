"""The pages of a process for operators: /metrics for Prometheus, /healthz and /readyz for probes."""

import asyncio
import contextlib
import errno
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Final

import structlog
from prometheus_client import Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from defuse_server.backend import Backend
from defuse_server.errors import PermissionDenied, Unauthenticated
from defuse_server.host import listen
from defuse_server.host.cancellation import cancel_and_wait, within
from defuse_server.host.http_server import HttpServer
from defuse_server.host.metrics import REGISTRY
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.monitoring.readiness import PATIENCE_S, ping, readiness
from defuse_server.monitoring.service_metrics import ServiceMetrics

PORTS: Final = 20
"""Processes on one machine share an address: each takes the next free one of so many ports."""
_PING_INTERVAL_S: Final = 5.0

_BUILD: Final = Gauge(
    "defuse_build_info",
    "1; its labels name the process and the version.",
    ["process", "version"],
    registry=REGISTRY,
)
_REDIS_UP: Final = Gauge("defuse_redis_up", "1 if Redis answered the last ping, or 0.", registry=REGISTRY)
_PING_SECONDS: Final = Histogram(
    "defuse_redis_ping_seconds",
    "Time that Redis took to answer a ping, in seconds. This process sends one every 5 s.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
    registry=REGISTRY,
)

_log = structlog.get_logger(__name__)


class MetricsServer:
    """Serves a process's metrics at the address of the settings, for as long as the context lasts.

    `process` is its name as a command of `defuse-server`. With `whole_service`, the metrics of the service
    are exported, too. An empty address turns it off. `url` is where it listens, or empty.
    """

    def __init__(self, backend: Backend, process: str, *, whole_service: bool = False) -> None:
        """Raise `UnsafeListen` for an address that is not safe."""
        self._backend = backend
        settings = backend.settings
        self._beyond_loopback = False
        if settings.metrics_address:
            listen.check(settings, settings.metrics_address)
            self._beyond_loopback = not listen.is_loopback(settings.metrics_address)
        self._service = ServiceMetrics(backend) if whole_service else None
        self._stack = contextlib.AsyncExitStack()
        self.url = ""
        _BUILD.labels(process, version("defuse-audit")).set(1)

    async def __aenter__(self) -> "MetricsServer":
        if not self._backend.settings.metrics_address:
            return self
        self.url = await self._listen()
        chores = [asyncio.create_task(self._keep_pinging())]
        if self._service is not None:
            chores.append(asyncio.create_task(self._service.keep_measuring()))
        self._stack.push_async_callback(cancel_and_wait, *chores)
        _log.info("metrics.ready", url=f"{self.url}/metrics")
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def _listen(self) -> str:
        """Serve on the first free port, and return the URL. Raises `OSError` if there is none."""
        settings = self._backend.settings
        app = Starlette(
            routes=[
                Route("/metrics", self._metrics),
                Route("/healthz", self._healthy),
                Route("/readyz", self._ready),
            ]
        )
        if not self._beyond_loopback:
            # The certificate names the host for others. On this machine nobody listens in.
            settings = settings.model_copy(update={"tls_cert": None, "tls_key": None})
        host, _, port = settings.metrics_address.rpartition(":")
        first = int(port) if port.isdigit() else 0
        ports = range(first, first + PORTS) if first else [port]
        for candidate in ports:
            server = HttpServer(
                *(app, settings, f"{host}:{candidate}"),
                what="the metrics' page",
                option="DEFUSE_METRICS_ADDRESS",
            )
            try:
                return (await self._stack.enter_async_context(server)).url
            except OSError as error:
                if getattr(error.__cause__, "errno", 0) != errno.EADDRINUSE or candidate == ports[-1]:
                    raise
        raise AssertionError("unreachable: the last port is used or raises")

    async def _metrics(self, request: Request) -> Response:
        try:
            await self._check(request)
        except (Unauthenticated, PermissionDenied) as error:
            return PlainTextResponse(f"{error.message}\n", 401 if isinstance(error, Unauthenticated) else 403)
        whole: Sequence[Metric] = ()
        if self._service is not None:
            # Without Redis, the process's own metrics still tell what is wrong.
            with contextlib.suppress(TimeoutError, *UNREACHABLE):
                whole = await within(self._service.read(), PATIENCE_S)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        # On a thread: it asks the machine for its processes and GPUs.
        text = await asyncio.to_thread(encode, _Scrape(whole))
        return Response(text, media_type=None, headers={"content-type": content_type})

    async def _check(self, request: Request) -> None:
        """Raise `Unauthenticated` or `PermissionDenied` if the caller may not see details of the service.

        The server's token admits without Redis.
        """
        if self._beyond_loopback:
            caller = await self._backend.access.caller(request.headers.getlist("authorization"))
            caller.check("StatusService/GetServiceStatus")

    async def _healthy(self, _request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _ready(self, request: Request) -> Response:
        found = await readiness(self._backend)
        # Errors name hosts and folders, and probes look at the status alone.
        details = asdict(found)
        try:
            await self._check(request)
        except (Unauthenticated, PermissionDenied, *UNREACHABLE):
            details = {}
        return JSONResponse({"ready": found.ready, **details}, 200 if found.ready else 503)

    async def _keep_pinging(self) -> None:
        while True:
            start_s = time.perf_counter()
            try:
                await within(ping(self._backend), PATIENCE_S)
            except (TimeoutError, *UNREACHABLE):
                _REDIS_UP.set(0)
            else:
                _REDIS_UP.set(1)
                _PING_SECONDS.observe(time.perf_counter() - start_s)
            await asyncio.sleep(_PING_INTERVAL_S)


class _Scrape(Collector):
    """The process's own metrics, and those of the whole service."""

    def __init__(self, whole: Sequence[Metric]) -> None:
        self._whole = whole

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics."""
        yield from REGISTRY.collect()
        yield from self._whole
