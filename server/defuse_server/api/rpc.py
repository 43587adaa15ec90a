"""Turns a service of the contract and the object that implements it into gRPC handlers.

The object has one method for each RPC, in snake case:

- `async def create_audit(self, request) -> Audit`
- `async def stream_regions(self, request, write) -> None`, which awaits `write(message)` for each message;
  bytes are sent as they are
- `async def upload(self, requests) -> Artifact`, with an async iterator

RPCs that all resources have alike come from `resource_rpcs`. This module does everything between the wire and
these methods: it decodes requests, answers errors, and ends open streams when the server stops.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from defuse_server.access.activity_log import log_call, resource_of
from defuse_server.access.caller import CALLER
from defuse_server.api import errors
from defuse_server.api.rpc_metrics import CallMetrics
from defuse_server.error_codes import CODES, known
from defuse_server.errors import BackendUnavailable, InvalidRequest
from defuse_server.host.cancellation import cancel_and_wait

Write = Callable[[Message | bytes], Awaitable[None]]
Context = grpc.aio.ServicerContext[Any, Any]
OpenStream = Callable[[], contextlib.AbstractAsyncContextManager[None]]
Method = Callable[..., Coroutine[Any, Any, Any]]


def service_handler(
    service: ServiceDescriptor,
    implementation: object,
    stopping: asyncio.Event,
    shared: Mapping[str, Method] = MappingProxyType({}),
    open_stream: OpenStream = contextlib.nullcontext,
) -> grpc.GenericRpcHandler:
    """Return the handlers of all RPCs of `service`: those in `shared`, else the methods of `implementation`.

    Streams that would only end with their job are open within `open_stream`, which may refuse them. Once
    `stopping` is set, they end with UNAVAILABLE.

    Raises `AttributeError` if an RPC is not implemented.
    """
    handlers = {
        method.name: _handler(
            method,
            shared.get(method.name) or getattr(implementation, snake_case(method.name)),
            stopping,
            open_stream,
        )
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(
    method: MethodDescriptor, behaviour: Method, stopping: asyncio.Event, open_stream: OpenStream
) -> "grpc.RpcMethodHandler[Any, Any]":
    request_class = message_factory.GetMessageClass(method.input_type)
    endless = method.server_streaming and method.name.startswith(("Watch", "Stream"))
    rpc = f"{method.containing_service.name}/{method.name}"
    metrics = CallMetrics(rpc, endless=endless)

    async def unary_unary(data: bytes, context: Context) -> Message:
        call = _Call(rpc, context, metrics)

        def work() -> Coroutine[Any, Any, Message]:
            return behaviour(call.told(_decoded(request_class, data)))

        return await call.guarded(work)

    async def stream_unary(datas: AsyncIterator[bytes], context: Context) -> Message:
        call = _Call(rpc, context, metrics)
        requests = (call.told(_decoded(request_class, data)) async for data in datas)
        return await call.guarded(lambda: behaviour(requests))

    async def unary_stream(data: bytes, context: Context) -> None:
        def work() -> Coroutine[Any, Any, None]:
            return behaviour(_decoded(request_class, data), context.write)

        async def endless_work() -> None:
            async with open_stream():
                await _until(stopping, work())

        await _Call(rpc, context, metrics).guarded(endless_work if endless else work)

    # Requests are decoded inside the guard: bytes that are no such message are the caller's error.
    if method.client_streaming:
        return grpc.stream_unary_rpc_method_handler(stream_unary, None, _encoded)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(unary_stream, None, _encoded)
    return grpc.unary_unary_rpc_method_handler(unary_unary, None, _encoded)


class _Call:
    """One call: it answers errors, and leaves its line in the log of who did what."""

    def __init__(self, rpc: str, context: Context, metrics: CallMetrics) -> None:
        self._rpc = rpc
        self._context = context
        self._metrics = metrics
        self._request: Message | None = None

    def told(self, request: Message) -> Message:
        """Return the request. The first one of a call tells the log what the call is about."""
        if self._request is None:
            self._request = request
        return request

    async def guarded(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Await the work, or abort the call with the status of what it raised."""
        response = None
        with self._metrics.observed() as outcome:
            try:
                response = await work()
                return response
            except Exception as error:
                problem = known(error)
                status = errors.rpc_status(problem)
                outcome.code = CODES[problem.reason]
                await self._context.abort(outcome.code, status.message, errors.trailers(status))
            except asyncio.CancelledError:
                outcome.code = grpc.StatusCode.CANCELLED
                raise
            finally:
                about = resource_of(response, self._request, getattr(self._request, "header", None))
                log_call(self._rpc, CALLER.get(), outcome.code, self._context.peer(), about)


async def _until(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Await `work`, or end it once `stopping` is set."""
    stream = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({stream, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not stream.done():
            raise BackendUnavailable("the server is stopping: resume from the last cursor")
        stream.result()
    finally:
        await cancel_and_wait(stream, stop)


def _decoded(request_class: type[Message], data: bytes) -> Message:
    request = request_class()
    try:
        request.ParseFromString(data)
    except DecodeError:
        description = f"expected a {request_class.DESCRIPTOR.full_name}, got other bytes"
        raise InvalidRequest([("", description)]) from None
    return request


def _encoded(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def snake_case(name: str) -> str:
    """Return `GetAudit` as `get_audit`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
