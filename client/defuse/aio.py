"""The client for event loops."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Self, TypeVar, cast

import grpc
import grpc.aio

from defuse._base_client import BaseClient
from defuse._calls import steps
from defuse.errors import from_rpc_error

T = TypeVar("T")


class AsyncClient(BaseClient):
    """The same as `defuse.Client`, with coroutines for methods and async iterators for iterators.

        async with defuse.AsyncClient() as client:
            async for region in client.regions(audit):
                ...

    A client belongs to the event loop in which it is made.
    """

    _grpc = grpc.aio

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Calls in progress raise `Cancelled`."""
        await self._channel.close()

    async def run_flow_async(self, flow: steps.Flow[T]) -> T:
        """Perform a flow's steps and return its result."""
        try:
            step = next(flow)
            while True:
                step = (await self._outcome(step)).into(flow)
        except StopIteration as end:
            return cast(T, end.value)

    async def iterate_flow_async(self, flow: steps.StreamFlow[T]) -> AsyncGenerator[T]:
        """Perform a flow's steps and yield what it emits."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, steps.Emit):
                    yield step.value
                    step = next(flow)
                else:
                    step = (await self._outcome(step)).into(flow)
        except StopIteration:
            return
        finally:
            flow.close()

    async def _outcome(self, step: steps.Step) -> steps.Outcome:
        try:
            return steps.Outcome(await self._perform(step))
        except BaseException as error:
            # Even when the task is cancelled the flow must reach its `finally`, which cancels its stream.
            return steps.Outcome(error=from_rpc_error(error) if isinstance(error, grpc.RpcError) else error)

    async def _perform(self, step: steps.Step) -> Any:
        match step:
            case steps.UnaryCall():
                return await steps.start_call(self._channel.unary_unary, step, step.request, self._token)
            case steps.SendStream():
                return await steps.start_call(
                    self._channel.stream_unary, step, _off_the_loop(step.requests), self._token
                )
            case steps.OpenStream():
                return steps.start_call(self._channel.unary_stream, step, step.request, self._token)
            case steps.Receive():
                message = await step.stream.read()
                return None if message is grpc.aio.EOF else message
            case steps.Sleep():
                return await asyncio.sleep(step.seconds)
            case steps.Blocking():
                return await asyncio.to_thread(step.run)


async def _off_the_loop(requests: Iterator[T]) -> AsyncIterator[T]:
    end = object()
    while (request := await asyncio.to_thread(next, requests, end)) is not end:
        yield cast(T, request)
