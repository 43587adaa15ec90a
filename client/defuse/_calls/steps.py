"""The steps of a flow. Each operation of the client is written once, as a generator that does no I/O itself.

A flow yields steps: call, read, wait, run something that blocks. `Client` performs them in a thread and
`AsyncClient` in an event loop. Each sends a step's outcome back into the flow, or throws the error into it.
All decisions (retry, resume, verify) are made in the flow.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from google.protobuf.message import Message

DEFAULT_TIMEOUT_S = 30.0
"""How long a call may take with all its retries, and how long a stream waits for a server that went away."""

T = TypeVar("T")


@dataclass(frozen=True)
class _OneRequest:
    request: Message
    response: type[Message]
    timeout_s: float | None


class UnaryCall(_OneRequest):
    """Send one request; the outcome is the answer."""


class OpenStream(_OneRequest):
    """Send one request that has many answers; the outcome is grpc's stream of them."""


@dataclass(frozen=True)
class SendStream:
    """Send many requests of one type; the outcome is the one answer to all of them."""

    request: type[Message]
    requests: Iterator[Message]
    response: type[Message]
    timeout_s: float | None


@dataclass(frozen=True)
class Receive:
    """Read a stream; the outcome is its next message, or None at its end."""

    stream: Any


@dataclass(frozen=True)
class Sleep:
    """Wait; the outcome is None."""

    seconds: float


@dataclass(frozen=True)
class Blocking:
    """Run a function that reads or writes files; the outcome is what it returns."""

    run: Callable[[], Any]


Step = UnaryCall | SendStream | OpenStream | Receive | Sleep | Blocking


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Hand a value to the caller."""

    value: T


Flow = Generator[Step, Any, T]
"""A generator of steps that returns a result."""
StreamFlow = Generator[Step | Emit[T], Any, None]
"""A generator of steps that emits any number of values."""


@dataclass(frozen=True)
class Outcome:
    """The result or the error of a step."""

    value: Any = None
    error: BaseException | None = None

    def into(self, flow: Generator[Any, Any, Any]) -> Any:
        """Return the flow's next step. Raises `StopIteration` with the result when the flow has ended."""
        return flow.send(self.value) if self.error is None else flow.throw(self.error)


def method_of(request: Message | type[Message]) -> str:
    """Return the call that takes a request, such as `AuditService/GetAudit` for a GetAuditRequest."""
    (service,) = cast(Any, request.DESCRIPTOR).file.services_by_name
    return f"{service}/{request.DESCRIPTOR.name.removesuffix('Request')}"


def start_call(
    kind: Callable[..., Any], step: UnaryCall | SendStream | OpenStream, payload: Any, token: str | None
) -> Any:
    """Start a call. `kind` is a channel's `unary_unary`, ...; `payload` is the request or their iterator."""
    method = kind(
        f"/defuse.v1.{method_of(step.request)}",
        request_serializer=_serialize,
        response_deserializer=step.response.FromString,
    )
    metadata = [("authorization", f"Bearer {token}")] if token else []
    return method(payload, timeout=step.timeout_s, metadata=metadata)


def _serialize(request: Message) -> bytes:
    return request.SerializeToString()
