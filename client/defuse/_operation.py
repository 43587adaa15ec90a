"""Makes methods of flows: the same flow is a function of `Client` and a coroutine of `AsyncClient`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from defuse._flow import Flow, StreamFlow

P = ParamSpec("P")
T = TypeVar("T")


class SyncRunner(Protocol):
    """Runs flows in the calling thread."""

    timeout_s: float | None

    def run_flow(self, flow: Flow[T]) -> T:
        """Return the flow's result."""
        ...

    def iterate_flow(self, flow: StreamFlow[T]) -> Iterator[T]:
        """Hand out what the flow emits."""
        ...


class AsyncRunner(Protocol):
    """Runs flows in an event loop."""

    timeout_s: float | None

    def run_flow_async(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """Return the flow's result."""
        ...

    def iterate_flow_async(self, flow: StreamFlow[T]) -> AsyncIterator[T]:
        """Hand out what the flow emits."""
        ...


class Operation(Generic[P, T]):
    """A method that returns one result."""

    def __init__(self, flow: Callable[P, Flow[T]]) -> None:
        self._flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Flow[T]]: ...
    @overload
    def __get__(self, client: SyncRunner, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncRunner, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Callable[P, Any]:
        """Bind the flow to the client; of the class, for `help`, the flow itself."""
        if client is None:
            return self._flow
        run: Callable[[Flow[T]], Any] = getattr(client, "run_flow", None) or client.run_flow_async

        @wraps(self._flow)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            kwargs.setdefault("timeout_s", client.timeout_s)
            return run(self._flow(*args, **kwargs))

        return method


class StreamOperation(Generic[P, T]):
    """A method that returns an iterator."""

    def __init__(self, flow: Callable[P, StreamFlow[T]]) -> None:
        self._flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, StreamFlow[T]]: ...
    @overload
    def __get__(self, client: SyncRunner, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncRunner, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Any, owner: type) -> Callable[P, Any]:
        """Bind the flow to the client; of the class, for `help`, the flow itself."""
        if client is None:
            return self._flow
        run: Callable[[StreamFlow[T]], Any] = (
            getattr(client, "iterate_flow", None) or client.iterate_flow_async
        )

        @wraps(self._flow)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            kwargs.setdefault("timeout_s", client.timeout_s)
            return run(self._flow(*args, **kwargs))

        return method
