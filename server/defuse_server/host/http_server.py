"""An HTTP server: uvicorn in the event loop of the process."""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Final

import uvicorn
from starlette.applications import Starlette

from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.settings import Settings

_GRACE_S: Final = 5
_BACKLOG: Final = 2048


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the process, which drains its servers in order."""
        yield


class HttpServer:
    """An application on an address, for as long as the context lasts. `url` is where it listens.

    It uses TLS if the settings have a certificate. `what` and `option` appear in errors about the address.
    """

    def __init__(self, app: Starlette, settings: Settings, address: str, *, what: str, option: str) -> None:
        config = uvicorn.Config(
            app,
            # Addresses of pictures contain leases, which must not get into a log.
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        self._address = address
        self._what = what
        self._option = option
        self._scheme = "http" if settings.tls_cert is None else "https"
        self._server = _Uvicorn(config)
        self._serving: asyncio.Task[None] | None = None
        self.url = ""

    async def __aenter__(self) -> "HttpServer":
        # Loaded here, so that a bad certificate raises here and not in the task.
        self._server.config.load()
        bound = self._bound()
        host = self._address.rpartition(":")[0]
        self.url = f"{self._scheme}://{host}:{bound.getsockname()[1]}"
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]), name=self._what)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._serving), _GRACE_S + 1)
            await cancel_and_wait(self._serving)

    def _bound(self) -> socket.socket:
        """Return a listening socket. Raises `OSError` if it can't listen on the address."""
        host, _, port = self._address.rpartition(":")
        bare = host.strip("[]")
        try:
            family = socket.AF_INET6 if ":" in bare else socket.AF_INET
            bound = socket.create_server((bare, int(port)), family=family, backlog=_BACKLOG)
        except (OSError, ValueError, OverflowError) as error:
            raise OSError(
                f"{self._what} can't listen on {self._address}: {error}. Set another {self._option} as "
                "host:port; port 0 takes a free port"
            ) from error
        # Connections inherit this. Without it, a body waits 40 ms until the client acknowledges the head.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return bound
