"""Flows that other flows are made of: calls with retries, resumed streams, lists over all their pages."""

import logging
import uuid
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from defuse._calls import steps
from defuse._calls.retries import Retries
from defuse._calls.steps import Flow, StreamFlow
from defuse.errors import CallFailed, ResourceExhausted, Unavailable

logger = logging.getLogger("defuse")

T = TypeVar("T")
Y = TypeVar("Y")
R = TypeVar("R", bound=Message)


def blocking(run: Callable[[], T]) -> Flow[T]:
    """Run a function that reads or writes files, outside the event loop if there is one."""
    return cast(T, (yield steps.Blocking(run)))


def unary(request: Message, response: type[R], timeout_s: float | None) -> Flow[R]:
    """Make a call, and make it again while the server is UNAVAILABLE or asks to wait, up to the deadline.

    Raises `CallFailed`.
    """
    retries = Retries(timeout_s)

    def attempt() -> Flow[R]:
        return cast(R, (yield steps.UnaryCall(request, response, retries.remaining_s())))

    return (yield from retried(steps.method_of(request), retries, attempt))


def create(request: Message, response: type[R], timeout_s: float | None) -> Flow[R]:
    """Make a call that creates a resource.

    Repeating it is safe: all attempts carry the same request_id. Raises `CallFailed`.
    """
    cast(Any, request).request_id = str(uuid.uuid4())
    return unary(request, response, timeout_s)


def retried(
    what: str, retries: Retries, attempt: Callable[[], Generator[Y, Any, T]]
) -> Generator[steps.Step | Y, Any, T]:
    """Perform an attempt until one ends otherwise than with an error that passes, as `retries` allows it.

    Such errors are `Unavailable`, and `ResourceExhausted` if the server says when to try again.
    """
    while True:
        try:
            return (yield from attempt())
        except (Unavailable, ResourceExhausted) as error:
            if isinstance(error, ResourceExhausted) and not error.retry_delay_s:
                raise
            yield from wait_or_raise(retries, error, what)


def wait_or_raise(retries: Retries, error: CallFailed, what: str) -> Flow[None]:
    """Wait for the next attempt. Raises the error if the deadline comes first."""
    delay_s = retries.next_delay_s(at_least_s=error.retry_delay_s)
    if delay_s is None:
        raise error
    # A limit is no outage: nobody needs to be told that the server is away.
    told = logger.info if isinstance(error, Unavailable) else logger.debug
    told("%s: %s; trying again", what, error.message)
    yield steps.Sleep(delay_s)


def received(
    opening: steps.OpenStream, handle: Callable[[Any], Generator[Y, Any, None]]
) -> Generator[steps.Step | Y, Any, None]:
    """Open a stream and perform `handle` with each of its messages. Cancels the stream when left early."""
    stream = yield opening
    try:
        while (message := (yield steps.Receive(stream))) is not None:
            yield from handle(message)
    finally:
        stream.cancel()


def resumed(
    request: Any,
    response: type[R],
    items_of: Callable[[R], Iterable[T]],
    *,
    timeout_s: float | None,
    within_s: float | None = None,
) -> StreamFlow[T]:
    """Emit the items of a stream's messages to its end; if it breaks, go on from the last cursor.

    The stream begins at the request's own cursor. `timeout_s` bounds how long the server may stay away,
    counted from the moment when the stream breaks. `within_s` bounds the whole stream with
    `DeadlineExceeded`. None means no bound.
    """
    retries, whole = Retries(timeout_s), Retries(within_s)
    retries.progressed()

    def emit_items(message: R) -> StreamFlow[T]:
        retries.progressed()
        request.cursor = cast(Any, message).cursor
        for item in items_of(message):
            yield steps.Emit(item)

    def attempt() -> StreamFlow[T]:
        return received(steps.OpenStream(request, response, whole.remaining_s()), emit_items)

    yield from retried(steps.method_of(request), retries, attempt)


def each(stream: StreamFlow[T], handle: Callable[[T], None]) -> Flow[None]:
    """Perform a stream flow's steps within another flow, and hand each value to `handle`."""
    outcome = steps.Outcome()
    try:
        while True:
            step = outcome.into(stream)
            if isinstance(step, steps.Emit):
                handle(cast("steps.Emit[T]", step).value)
                outcome = steps.Outcome()
                continue
            try:
                outcome = steps.Outcome((yield step))
            except Exception as error:
                outcome = steps.Outcome(error=error)
    except StopIteration:
        return
    finally:
        stream.close()


def paged(
    request: Any, response: type[R], items_of: Callable[[R], Iterable[T]], timeout_s: float | None
) -> StreamFlow[T]:
    """Emit the items of a list, page after page."""
    while True:
        page = yield from unary(request, response, timeout_s)
        for item in items_of(page):
            yield steps.Emit(item)
        request.page_token = cast(Any, page).next_page_token
        if not request.page_token:
            return
