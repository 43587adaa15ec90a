"""Metrics of the pages."""

import time
from typing import Final

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from defuse_server.host.metrics import REGISTRY

_REQUESTS: Final = Counter(
    "defuse_page_requests_total",
    "Requests that the pages answered, by route, method and HTTP status.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
_SECONDS: Final = Histogram(
    "defuse_page_seconds",
    "Time until the answer to a request was sent, in seconds, by route.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
_METHODS: Final = ("GET", "HEAD", "POST")


class PageMetrics:
    """Counts and times requests. It is the outermost layer of the pages."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure a request while it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start_s = time.perf_counter()
        try:
            await self._app(scope, receive, sent)
        finally:
            # Paths and methods are the caller's words, so only those that the pages know are labels.
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            _REQUESTS.labels(route, method, str(status)).inc()
            _SECONDS.labels(route).observe(time.perf_counter() - start_s)
