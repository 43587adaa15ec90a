"""The server of the pages."""

from defuse_server.backend import Backend
from defuse_server.host import listen
from defuse_server.host.http_server import HttpServer
from defuse_server.web.app import create_app


def web_server(backend: Backend) -> HttpServer:
    """Return the server of the pages. Raises `UnsafeListen`."""
    settings = backend.settings
    listen.check(settings, settings.web_address)
    app = create_app(backend)
    return HttpServer(app, settings, settings.web_address, what="the page", option="--web-address")
