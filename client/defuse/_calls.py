"""Flows that other flows are made of: calls with retries, resumed streams, lists over all their pages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from defuse._retry import Retries
from defuse._steps import (
    Blocking,
    Emit,
    Flow,
    OpenStream,
    Outcome,
    Receive,
    Sleep,
    Step,
    StreamFlow,
    UnaryCall,
    method_of,
)
from defuse.errors import CallFailed, Unavailable

logger = logging.getLogger("defuse")

T = TypeVar("T")
Y = TypeVar("Y")
R = TypeVar("R", bound=Message)


def blocking(run: Callable[[], T]) -> Flow[T]:
    """Run a function that reads or writes files, outside the event loop if there is one."""
    return cast(T, (yield Blocking(run)))


def unary(request: Message, response: type[R], timeout_s: float | None) -> Flow[R]:
    """Make a call, and make it again while the server is UNAVAILABLE and the deadline allows it.

    Raises `CallFailed`. Repeating a create is safe: all attempts carry the same request_id.
    """
    retries = Retries(timeout_s)

    def attempt() -> Flow[R]:
        return cast(R, (yield UnaryCall(request, response, retries.remaining_s())))

    return (yield from retried(method_of(request), retries, attempt))


def retried(
    what: str, retries: Retries, attempt: Callable[[], Generator[Y, Any, T]]
) -> Generator[Step | Y, Any, T]:
    """Perform an attempt until one ends with anything but `Unavailable`, as long as `retries` allows it."""
    while True:
        try:
            return (yield from attempt())
        except Unavailable as error:
            yield from wait_or_raise(retries, error, what)


def wait_or_raise(retries: Retries, error: CallFailed, what: str) -> Flow[None]:
    """Wait for the next attempt. Raises the error if the deadline comes first."""
    delay_s = retries.next_delay_s(at_least_s=error.retry_delay_s)
    if delay_s is None:
        raise error
    logger.info("%s: %s; trying again", what, error.message)
    yield Sleep(delay_s)


def received(
    opening: OpenStream, handle: Callable[[Any], Generator[Y, Any, None]]
) -> Generator[Step | Y, Any, None]:
    """Open a stream and perform `handle` with each of its messages. Cancels the stream when left early."""
    stream = yield opening
    try:
        while (message := (yield Receive(stream))) is not None:
            yield from handle(message)
    finally:
        stream.cancel()


def resumed(
    request_from: Callable[[str], Message],
    response: type[R],
    items_of: Callable[[R], Iterable[T]],
    *,
    cursor: str = "",
    timeout_s: float | None,
    within_s: float | None = None,
) -> StreamFlow[T]:
    """Emit the items of a stream's messages to its end; if it breaks, go on from the last cursor.

    `timeout_s` bounds how long the server may stay away, counted from the moment when the stream breaks.
    `within_s` bounds the whole stream with `DeadlineExceeded`. None means no bound.
    """
    retries, whole = Retries(timeout_s), Retries(within_s)
    retries.progressed()

    def emit_items(message: R) -> StreamFlow[T]:
        nonlocal cursor
        retries.progressed()
        cursor = cast(Any, message).cursor
        for item in items_of(message):
            yield Emit(item)

    def attempt() -> StreamFlow[T]:
        return received(OpenStream(request_from(cursor), response, whole.remaining_s()), emit_items)

    yield from retried(method_of(request_from(cursor)), retries, attempt)


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
    request_for: Callable[[str], Message],
    response: type[R],
    items_of: Callable[[R], Iterable[T]],
    timeout_s: float | None,
) -> StreamFlow[T]:
    """Emit the items of a list, page after page; `request_for` gets a page token."""
    token = ""
    while True:
        page = yield from unary(request_for(token), response, timeout_s)
        for item in items_of(page):
            yield Emit(item)
        token = cast(Any, page).next_page_token
        if not token:
            return
