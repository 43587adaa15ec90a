"""Makes methods of flows: the same flow is a function of `Client` and a coroutine of `AsyncClient`."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from defuse._calls.steps import Flow, StreamFlow

P = ParamSpec("P")
T = TypeVar("T")


class SyncRunner(Protocol):
    """A client that performs flows in the calling thread."""

    def run_flow(self, flow: Flow[T]) -> T:
        """Return the flow's result."""
        ...


class AsyncRunner(Protocol):
    """A client that performs flows in an event loop."""

    def run_flow_async(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """Return the flow's result."""
        ...


class _Method:
    """Binds a flow to a client, whose `timeout_s` is the default of the flow's."""

    def __init__(self, flow: Callable[..., Any], doc: str = "") -> None:
        self._flow: Callable[..., Any] = flow
        self.__doc__ = doc or flow.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Give the flow the name and the documentation that `help` is to show."""
        flow = self._flow

        @wraps(flow)
        def named(*args: Any, **kwargs: Any) -> Any:
            return flow(*args, **kwargs)

        named.__name__, named.__doc__ = name, self.__doc__
        self._flow = named

    def _bound(self, client: Any, run_name: str) -> Callable[..., Any]:
        run = getattr(client, run_name, None) or getattr(client, f"{run_name}_async")

        @wraps(self._flow)
        def method(*args: Any, **kwargs: Any) -> Any:
            kwargs.setdefault("timeout_s", client.timeout_s)
            return run(self._flow(*args, **kwargs))

        return method


class FlowMethod(_Method, Generic[P, T]):
    """A method that returns one result."""

    def __init__(self, flow: Callable[P, Flow[T]], doc: str = "") -> None:
        super().__init__(flow, doc)

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Flow[T]]: ...
    @overload
    def __get__(self, client: SyncRunner, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncRunner, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Callable[P, Any]:
        """Return the method of a client; of the class, return the flow itself."""
        return self._flow if client is None else self._bound(client, "run_flow")


class StreamMethod(_Method, Generic[P, T]):
    """A method that returns an iterator."""

    def __init__(self, flow: Callable[P, StreamFlow[T]], doc: str = "") -> None:
        super().__init__(flow, doc)

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, StreamFlow[T]]: ...
    @overload
    def __get__(self, client: SyncRunner, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncRunner, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Any, owner: type) -> Callable[P, Any]:
        """Return the method of a client; of the class, return the flow itself."""
        return self._flow if client is None else self._bound(client, "iterate_flow")
