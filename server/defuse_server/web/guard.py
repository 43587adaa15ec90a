"""Guards every request: its host, origin and session, and the security headers of the answer."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from defuse_server.host.listen import is_loopback
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.web.problems import answer_problem
from defuse_server.web.sessions import COOKIE, Sessions

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: forms would then come from the origin `null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Refuses requests from other sites, and gives each request the session of its cookie.

    Without a token, the pages trust every user of this machine, but no foreign name that resolves to it (DNS
    rebinding).
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            if refusal := await self._refusal(connection, scope["method"]):
                await PlainTextResponse(refusal, 403)(scope, receive, _hardened(send))
                return
            if not scope["path"].startswith(("/static/", "/healthz")):
                session = await self._sessions.read(connection.cookies.get(COOKIE))
                scope.setdefault("state", {})["session"] = session
        except UNREACHABLE as error:
            await answer_problem(Request(scope), error)(scope, receive, _hardened(send))
            return
        await self._app(scope, receive, _hardened(send))

    async def _refusal(self, connection: HTTPConnection, method: str) -> str:
        host = connection.headers.get("host", "")
        if not is_loopback(_with_port(host)) and not await self._sessions.asks_for_token():
            return (
                f"expected a loopback name as host, got {host[:100]!r}: without a token, this server "
                "answers only its own machine"
            )
        if method in _SAFE_METHODS:
            return ""
        origin = connection.headers.get("origin", "")
        if urlsplit(origin).netloc != host:
            return f"cross-site request refused: expected the origin {host[:100]!r}, got {origin[:100]!r}"
        if connection.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "cross-site request refused"
        return ""


def _with_port(host: str) -> str:
    return host if host.rpartition(":")[2].isdigit() else f"{host}:0"


def _hardened(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sent
