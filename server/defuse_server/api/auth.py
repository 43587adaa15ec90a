"""Authenticates calls: a caller shows the server's token. The health service is open to everyone."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from pydantic import SecretStr

from defuse_server.api import errors
from defuse_server.api.rpc_metrics import count_refused
from defuse_server.errors import Unauthenticated

_OPEN_PREFIX = "/grpc.health.v1.Health/"
_Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]]


class BearerAuth(grpc.aio.ServerInterceptor):
    """Refuses calls without `authorization: Bearer TOKEN` before their handler sees a byte."""

    def __init__(self, token: SecretStr) -> None:
        self._expected = token.get_secret_value().encode()

    async def intercept_service(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, continuation: _Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Continue the call, or answer it with UNAUTHENTICATED."""
        if handler_call_details.method.startswith(_OPEN_PREFIX) or self._admits(handler_call_details):
            return await continuation(handler_call_details)
        # This handler reads no request, so it fits a call of any kind.
        return grpc.stream_stream_rpc_method_handler(_refuse)

    def _admits(self, details: grpc.HandlerCallDetails) -> bool:
        metadata: list[tuple[str, str | bytes]] = list(details.invocation_metadata or ())
        values = [value for key, value in metadata if key == "authorization"]
        if len(values) != 1:
            return False
        value = values[0].encode() if isinstance(values[0], str) else values[0]
        scheme, _, shown = value.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(shown, self._expected)


async def _refuse(_requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    count_refused()
    status = errors.rpc_status(
        Unauthenticated("expected the metadata `authorization: Bearer TOKEN` with this server's token")
    )
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, status.message, errors.trailers(status))
