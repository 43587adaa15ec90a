"""Operations as generators: written once, run by a thread (client.py) or by an event loop (aio.py).

A flow yields the steps that touch the world (call, wait, read, run something that blocks), gets each step's
outcome sent back or its error thrown in, and returns its result. A flow that hands out many values yields
each of them in an `Emit`. All decisions (retry, resume, verify) are in the flow; the clients only perform
steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from google.protobuf.message import Message

from defuse._retry import Retries
from defuse.errors import CallFailed, Unavailable

DEFAULT_TIMEOUT_S = 30.0
"""How long a call may take with all its retries, and how long a stream may find no server."""

logger = logging.getLogger("defuse")

T = TypeVar("T")
R = TypeVar("R", bound=Message)


@dataclass(frozen=True)
class UnaryCall:
    """One request, one answer: the outcome is the answer."""

    method: str
    request: Message
    response: type[Message]
    timeout_s: float | None


@dataclass(frozen=True)
class SendStream:
    """Many requests, one answer: the outcome is the answer."""

    method: str
    requests: Iterator[Message]
    response: type[Message]
    timeout_s: float | None


@dataclass(frozen=True)
class OpenStream:
    """One request, many answers: the outcome is a `Stream`."""

    method: str
    request: Message
    response: type[Message]
    timeout_s: float | None


class Stream(Protocol):
    """An open stream of answers."""

    def cancel(self) -> bool:
        """Stop it; does nothing when it has ended."""
        ...


@dataclass(frozen=True)
class Receive:
    """The outcome is the stream's next message, or None at its end."""

    stream: Stream


@dataclass(frozen=True)
class Sleep:
    """Wait; the outcome is None."""

    seconds: float


@dataclass(frozen=True)
class Blocking:
    """Run something that reads or writes files; the outcome is what it returns."""

    run: Callable[[], Any]


Step = UnaryCall | SendStream | OpenStream | Receive | Sleep | Blocking


@dataclass(frozen=True)
class Emit(Generic[T]):
    """A value for the caller."""

    value: T


@dataclass(frozen=True)
class Outcome:
    """What a step led to, to be handed to its flow."""

    value: Any = None
    error: BaseException | None = None

    def into(self, flow: Generator[Any, Any, Any]) -> Any:
        """Go on to the flow's next step. Raises StopIteration with the result at the flow's end."""
        return flow.send(self.value) if self.error is None else flow.throw(self.error)


Flow = Generator[Step, Any, T]
StreamFlow = Generator[Step | Emit[T], Any, None]


def start_call(
    kind: Callable[..., Any], step: UnaryCall | SendStream | OpenStream, payload: Any, token: str | None
) -> Any:
    """Make a call of a channel's `kind` (`channel.unary_unary`, ...) with the step's request or requests."""
    method = kind(
        f"/defuse.v1.{step.method}",
        request_serializer=_serialize,
        response_deserializer=step.response.FromString,
    )
    metadata = [("authorization", f"Bearer {token}")] if token else []
    return method(payload, timeout=step.timeout_s, metadata=metadata)


def _serialize(request: Message) -> bytes:
    return request.SerializeToString()


def sleep(seconds: float) -> Flow[None]:
    """Wait."""
    yield Sleep(seconds)


def blocking(run: Callable[[], T]) -> Flow[T]:
    """Run something that reads or writes files, off the event loop where there is one."""
    return cast(T, (yield Blocking(run)))


def unary(
    method: str, request: Message, response: type[R], timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[R]:
    """Call, and call again while the server is UNAVAILABLE and the deadline allows it.

    `method` is `Service/Method`. Raises `CallFailed`. Creates are safe to repeat: their request carries one
    request_id over all attempts.
    """
    retries = Retries(timeout_s)
    while True:
        try:
            return cast(R, (yield UnaryCall(method, request, response, retries.remaining_s())))
        except Unavailable as error:
            yield from wait_or_raise(retries, error, method)


def wait_or_raise(retries: Retries, error: CallFailed, what: str) -> Flow[None]:
    """Wait for the next attempt, or raise the error when the deadline comes first."""
    delay_s = retries.next_delay_s(at_least_s=error.retry_delay_s)
    if delay_s is None:
        raise error
    logger.info("%s: %s; trying again", what, error.message)
    yield Sleep(delay_s)


def resumed(
    method: str,
    request_from: Callable[[str], Message],
    response: type[R],
    items_of: Callable[[R], Iterable[T]],
    *,
    cursor: str,
    timeout_s: float | None,
    within_s: float | None = None,
) -> StreamFlow[T]:
    """Emit the items of a stream's messages to its end; broken by UNAVAILABLE, go on from the last cursor.

    `timeout_s` bounds how long the server may stay away, counted from the moment when the stream breaks.
    `within_s` bounds the whole stream with DeadlineExceeded. None means no bound.
    """
    retries, whole = Retries(timeout_s), Retries(within_s)
    retries.progressed()
    while True:
        stream: Stream | None = None
        try:
            opened = yield OpenStream(method, request_from(cursor), response, whole.remaining_s())
            stream = cast(Stream, opened)
            while (message := cast("R | None", (yield Receive(stream)))) is not None:
                retries.progressed()
                cursor = cast(Any, message).cursor
                for item in items_of(message):
                    yield Emit(item)
            return
        except Unavailable as error:
            yield from wait_or_raise(retries, error, method)
        finally:
            if stream is not None:
                stream.cancel()


def each(stream: StreamFlow[T], handle: Callable[[T], None]) -> Flow[None]:
    """Perform a stream flow's steps within another flow, and hand each value to `handle`."""
    outcome = Outcome()
    try:
        while True:
            step = outcome.into(stream)
            if isinstance(step, Emit):
                handle(cast("Emit[T]", step).value)
                outcome = Outcome()
                continue
            try:
                outcome = Outcome((yield step))
            except Exception as error:
                outcome = Outcome(error=error)
    except StopIteration:
        return
    finally:
        stream.close()


def paged(
    method: str,
    request_for: Callable[[str], Message],
    response: type[R],
    items_of: Callable[[R], Iterable[T]],
    timeout_s: float | None,
) -> StreamFlow[T]:
    """Emit the items of a list, page after page; `request_for` gets a page token."""
    token = ""
    while True:
        page = yield from unary(method, request_for(token), response, timeout_s)
        for item in items_of(page):
            yield Emit(item)
        token = cast(Any, page).next_page_token
        if not token:
            return
