"""The web server: uvicorn in the loop of the process, on a socket that is bound before it is announced."""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from types import TracebackType
from typing import Final

import uvicorn

from defuse_server.api import listen
from defuse_server.backend import Backend
from defuse_server.ending import end
from defuse_server.settings import Settings
from defuse_server.web.app import create_app

_GRACE_S: Final = 5
_BACKLOG: Final = 2048


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leaves the signals to the process, which drains its servers in order."""
        yield


class WebServer:
    """The pages on their address, for as long as the context lasts."""

    def __init__(self, backend: Backend) -> None:
        settings = backend.settings
        config = uvicorn.Config(
            create_app(backend),
            # Addresses of pictures are made of leases: they belong into no log.
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        self._settings = settings
        self._server = _Uvicorn(config)
        self._serving: asyncio.Task[None] | None = None
        self.url = ""

    async def __aenter__(self) -> "WebServer":
        settings = self._settings
        listen.check(settings, settings.web_address)
        # What is wrong with the certificate shows here, and not in the task.
        self._server.config.load()
        bound = _bound(settings)
        host = settings.web_address.rpartition(":")[0]
        scheme = "http" if settings.tls_cert is None else "https"
        self.url = f"{scheme}://{host}:{bound.getsockname()[1]}"
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]), name="web server")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._serving), _GRACE_S + 1)
            await end(self._serving)


def _bound(settings: Settings) -> socket.socket:
    """A listening socket; raises OSError where the address can't be had."""
    host, _, port = settings.web_address.rpartition(":")
    bare = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in bare else socket.AF_INET
        bound = socket.create_server((bare, int(port)), family=family, backlog=_BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        raise OSError(
            f"the page can't listen on {settings.web_address}: {error}. Set another --web-address, "
            "host:port; port 0 takes a free one"
        ) from error
    # Connections inherit it. Without it an answer's body waits 40 ms for the client to acknowledge its head.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound
