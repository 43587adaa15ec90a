"""Admits calls by who makes them. The health service is open to everyone."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

from defuse_server.access.access import Access
from defuse_server.access.activity_log import log_call
from defuse_server.access.caller import CALLER, Caller
from defuse_server.access.limits import Limits
from defuse_server.access.roles import ROLES
from defuse_server.api import errors
from defuse_server.api.rpc_metrics import count_refused
from defuse_server.error_codes import CODES, known
from defuse_server.errors import DefuseError

_OPEN_PREFIX: Final = "/grpc.health.v1.Health/"
_OUR_PREFIX: Final = "/defuse.v1."
_Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]]


class Admission(grpc.aio.ServerInterceptor):
    """Refuses calls of unknown callers, and of roles that don't suffice, before a handler sees a byte.

    Other calls find their caller in `CALLER`: grpc runs a call's interceptors and handler in one task.
    """

    def __init__(self, access: Access, limits: Limits) -> None:
        self._access = access
        self._limits = limits

    async def intercept_service(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, continuation: _Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Continue the call, or answer it with UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED."""
        method = handler_call_details.method
        if method.startswith(_OPEN_PREFIX):
            return await continuation(handler_call_details)
        # Reflection is no RPC of ours, and open to all known callers.
        rpc = method.removeprefix(_OUR_PREFIX)
        caller: Caller | None = None
        try:
            caller = await self._access.caller(_authorization(handler_call_details))
            if rpc in ROLES:
                caller.check(rpc)
            await self._limits.take_request(caller)
        except Exception as error:
            return _refusing(rpc, caller, known(error))
        CALLER.set(caller)
        return await continuation(handler_call_details)


def _authorization(details: grpc.HandlerCallDetails) -> list[str]:
    metadata: list[tuple[str, str | bytes]] = list(details.invocation_metadata or ())
    values = [value for key, value in metadata if key == "authorization"]
    return [value if isinstance(value, str) else value.decode("latin-1") for value in values]


def _refusing(rpc: str, caller: Caller | None, problem: DefuseError) -> "grpc.RpcMethodHandler[Any, Any]":
    status = errors.rpc_status(problem)
    code = CODES[problem.reason]

    async def refuse(_requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        # Before the caller is known, a method is no more than its word.
        if rpc in ROLES and caller is not None:
            count_refused(code, rpc)
        else:
            count_refused(code)
        log_call(rpc, caller, code, context.peer())
        await context.abort(code, status.message, errors.trailers(status))

    # This handler reads no request, so it fits a call of any kind.
    return grpc.stream_stream_rpc_method_handler(refuse)
