"""Admits calls by who makes them. The health service is open to everyone."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
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
    """Refuses calls of unknown callers, and of roles that don't suffice, before a service sees a byte.

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
        rpc = method.removeprefix(_OUR_PREFIX)
        authorization = _authorization(handler_call_details)
        if self._access.knows_certificates and not authorization:
            handler = await continuation(handler_call_details)
            return handler and self._by_certificate(rpc, handler)
        caller, problem = await self._admit(rpc, authorization)
        if problem is not None:
            return _refusing(rpc, caller, problem)
        return await continuation(handler_call_details)

    async def _admit(
        self, rpc: str, authorization: Sequence[str], certificate: Sequence[str] = ()
    ) -> tuple[Caller | None, DefuseError | None]:
        """Make the caller that of the present task. Return it, and the problem with it or None."""
        caller: Caller | None = None
        try:
            caller = await self._access.caller(authorization, certificate)
            # Reflection is no RPC of ours, and open to all known callers.
            if rpc in ROLES:
                caller.check(rpc)
            await self._limits.take_request(caller)
        except Exception as error:
            return caller, known(error)
        CALLER.set(caller)
        return caller, None

    def _by_certificate(
        self, rpc: str, handler: "grpc.RpcMethodHandler[Any, Any]"
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        """Return a handler that admits the caller first. Only handlers are told the certificate."""
        streaming = (handler.request_streaming, handler.response_streaming)
        kind = "_".join("stream" if one else "unary" for one in streaming)
        behaviour = getattr(handler, kind)

        async def admitted(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            caller, problem = await self._admit(rpc, [], _names(context))
            if problem is not None:
                await _refuse(rpc, caller, problem, context)
            answer = behaviour(request, context)
            if not inspect.isasyncgen(answer):
                return await answer
            async for message in answer:
                await context.write(message)
            return None

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(admitted, handler.request_deserializer, handler.response_serializer)


def _names(context: grpc.aio.ServicerContext[Any, Any]) -> list[str]:
    """Return the names in the caller's certificate: the alternative names, then the common name."""
    told = context.auth_context()
    keys = ("x509_subject_alternative_name", "x509_common_name")
    return [name.decode("utf-8", "replace") for key in keys for name in told.get(key, ()) if name]


def _authorization(details: grpc.HandlerCallDetails) -> list[str]:
    metadata: list[tuple[str, str | bytes]] = list(details.invocation_metadata or ())
    values = [value for key, value in metadata if key == "authorization"]
    return [value if isinstance(value, str) else value.decode("latin-1") for value in values]


def _refusing(rpc: str, caller: Caller | None, problem: DefuseError) -> "grpc.RpcMethodHandler[Any, Any]":
    async def refuse(_requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await _refuse(rpc, caller, problem, context)

    # This handler reads no request, so it fits a call of any kind.
    return grpc.stream_stream_rpc_method_handler(refuse)


async def _refuse(
    rpc: str, caller: Caller | None, problem: DefuseError, context: grpc.aio.ServicerContext[Any, Any]
) -> None:
    """Abort the call."""
    status = errors.rpc_status(problem)
    code = CODES[problem.reason]
    # Before the caller is known, a method is no more than its word.
    if rpc in ROLES and caller is not None:
        count_refused(code, rpc)
    else:
        count_refused(code)
    log_call(rpc, caller, code, context.peer())
    await context.abort(code, status.message, errors.trailers(status))
