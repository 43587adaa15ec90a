"""The gRPC server: the services of the contract, health and reflection."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

import grpc
import structlog
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health import SERVICE_NAME as HEALTH_NAME
from grpc_reflection.v1alpha import reflection

from defuse_server.access.caller import CALLER
from defuse_server.api.artifacts import ArtifactService
from defuse_server.api.audits import AuditService
from defuse_server.api.auth import Admission
from defuse_server.api.corrections import CorrectionService
from defuse_server.api.labels import LabelService
from defuse_server.api.promotions import PromotionService
from defuse_server.api.registry import RegistryService
from defuse_server.api.resource_rpcs import resource_methods
from defuse_server.api.rpc import service_handler
from defuse_server.api.status import StatusService
from defuse_server.backend import Backend
from defuse_server.errors import BackendUnavailable
from defuse_server.host import listen
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.host.settings import Settings
from defuse_server.monitoring.readiness import Readiness, readiness

GRACE_S: Final = 10.0
"""Calls under way have this long to finish when the server stops."""
_NOTICE_S = 0.2
_PROBE_S = 2.0
_STORE_PROBE_S = 10.0
_SWEEP_S = 3600.0

OPTIONS: Final = [
    # Without this two servers silently share a port, and each gets half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients that wait ping every 30 s. By default a server allows one ping in five minutes.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]

_SERVICES: Final = (
    ArtifactService,
    RegistryService,
    AuditService,
    LabelService,
    CorrectionService,
    PromotionService,
    StatusService,
)
"""Each implements the service of the contract that has its name."""

_log = structlog.get_logger(__name__)


class ApiServer:
    """The API on its address, for as long as the context lasts.

    Leaving the context drains the server. The health service answers NOT_SERVING, streams that only end with
    their job end with UNAVAILABLE (their clients resume by cursor), and other calls have GRACE_S seconds to
    finish.
    """

    def __init__(
        self, backend: Backend, grace_s: float = GRACE_S, options: Sequence[tuple[str, int]] = OPTIONS
    ) -> None:
        self._backend = backend
        self._grace_s = grace_s
        self._stopping = asyncio.Event()
        self._health = HealthServicer()
        self._serving: dict[str, bool] = {}
        self._chores: list[asyncio.Task[None]] = []
        admission = Admission(backend.access, backend.limits)
        self._server = grpc.aio.server(interceptors=[admission], options=options)
        self._names = [self._add(kind(backend)) for kind in _SERVICES]
        self.port = 0

    async def __aenter__(self) -> "ApiServer":
        settings = self._backend.settings
        listen.check(settings)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflected = [*self._names, HEALTH_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(reflected, self._server)
        self.port = _bound_port(self._server, settings)
        await self._show_health(await readiness(self._backend))
        await self._server.start()
        await self._tell_access()
        self._chores = [asyncio.create_task(self._probe()), asyncio.create_task(self._sweep())]
        return self

    async def __aexit__(self, *_error: object) -> None:
        for chore in self._chores:
            chore.cancel()
        await self._health.enter_graceful_shutdown()
        # Health watchers get the answer before their stream ends.
        await asyncio.sleep(_NOTICE_S)
        self._stopping.set()
        await self._server.stop(self._grace_s)

    async def _tell_access(self) -> None:
        """Log whether callers must show a token, if Redis is there to ask."""
        with contextlib.suppress(*UNREACHABLE):
            required = await self._backend.access.is_required()
            _log.info("access.required" if required else "access.open", auth=self._backend.settings.auth)

    def _add(self, implementation: object) -> str:
        name = _of(type(implementation))
        service = descriptor_pool.Default().FindServiceByName(name)
        handler = service_handler(
            service,
            implementation,
            self._stopping,
            resource_methods(self._backend),
            open_stream=lambda: self._backend.limits.stream(CALLER.get()),
        )
        self._server.add_generic_rpc_handlers([handler])
        return name

    async def _probe(self) -> None:
        """Have the health service answer what is so, again and again."""
        found, store_s = await readiness(self._backend), time.monotonic()
        while True:
            await self._show_health(found)
            await asyncio.sleep(_PROBE_S)
            if time.monotonic() - store_s < _STORE_PROBE_S:
                found = await readiness(self._backend, found.store)
            else:
                found, store_s = await readiness(self._backend), time.monotonic()

    async def _sweep(self) -> None:
        """Remove the parts of uploads that nobody finished."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            with contextlib.suppress(BackendUnavailable, *UNREACHABLE):
                _log.info("uploads.swept", count=await self._backend.uploads.sweep())

    async def _show_health(self, found: Readiness) -> None:
        status = health_pb2.HealthCheckResponse
        serving = dict.fromkeys(self._names, not found.redis)
        serving[_of(ArtifactService)] = serving[""] = found.ready
        serving |= {"redis": not found.redis, "store": not found.store, "worker": bool(found.workers)}
        if serving == self._serving:
            return
        if self._serving:
            tell = _log.info if found.ready and found.workers else _log.warning
            tell("health.changed", redis=found.redis, store=found.store, workers=found.workers)
        self._serving = serving
        for name, serves in serving.items():
            await self._health.set(name, status.SERVING if serves else status.NOT_SERVING)


def _of(kind: type) -> str:
    """Return the contract's name of the service that a class implements."""
    return f"defuse.v1.{kind.__name__}"


def _bound_port(server: grpc.aio.Server, settings: Settings) -> int:
    """Bind the server to the address and return the port. Raises `OSError` if it can't."""
    try:
        if settings.tls_cert is None or settings.tls_key is None:
            return server.add_insecure_port(settings.address)
        pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
        ca = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
        credentials = grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)
        return server.add_secure_port(settings.address, credentials)
    except RuntimeError as error:
        raise OSError(
            f"can't listen on {settings.address}: is the address in use, or is the certificate not in PEM?"
        ) from error
