"""What can go wrong, as exceptions.

    DefuseError
    ├── CallFailed                  a call ended with an error: `code`, `reason`, `figures`
    │   ├── Unavailable             no server answers there, or it can't work now; raised after retries
    │   ├── DeadlineExceeded        no answer came within `timeout_s`
    │   ├── InvalidArgument         `field_violations` names the fields
    │   ├── NotFound
    │   ├── AlreadyExists
    │   ├── FailedPrecondition      the resource is not in the state that the call needs
    │   ├── OutOfRange
    │   ├── Aborted
    │   ├── ResourceExhausted
    │   ├── Unauthenticated         the token is missing or wrong
    │   ├── PermissionDenied
    │   ├── DataLoss                the bytes that arrived have another digest than announced
    │   ├── Cancelled
    │   ├── Unimplemented           the server is older than this client
    │   ├── Internal
    │   └── Unknown
    ├── ArgumentError               an argument is wrong whatever the server holds; also a ValueError
    ├── JobFailed                   an audit, a correction, an evaluation or a training FAILED: `failure`
    │   └── Rejected                the inspection REJECTED a model or a dataset: `failure`
    └── JobCancelled

`defuse.model_registries.errors` has the errors of gates over model registries, which are DefuseErrors too.
A candidate that does not pass is not an error: its evaluation SUCCEEDED with VERDICT_FAIL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from defuse import messages
from defuse._enum_name import enum_name
from defuse.v1.error_reason_pb2 import ErrorReason

ERROR_DOMAIN = "defuse.dev"


class DefuseError(Exception):
    """The base of all errors that this package raises on purpose."""


class ArgumentError(DefuseError, ValueError):
    """An argument is wrong, whatever the server holds."""


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request that the server refused."""

    field: str
    description: str


ERROR_BY_CODE: dict[grpc.StatusCode, type["CallFailed"]] = {}


class CallFailed(DefuseError):
    """A call ended with a status other than OK.

    `reason` is ERROR_REASON_UNSPECIFIED if the server gave none, or one that this client does not know.
    `figures` are the numbers behind the reason, as text. The server asks to wait `retry_delay_s` before a
    retry.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init_subclass__(cls, code: grpc.StatusCode | None = None) -> None:
        if code is not None:
            cls.code = code
            ERROR_BY_CODE[code] = cls

    def __init__(
        self,
        message: str,
        *,
        reason: ErrorReason = ErrorReason.ERROR_REASON_UNSPECIFIED,
        figures: Mapping[str, str] | None = None,
        field_violations: Sequence[FieldViolation] = (),
        retry_delay_s: float = 0.0,
    ) -> None:
        self.message = message
        self.reason = reason
        self.figures = dict(figures or {})
        self.field_violations = tuple(field_violations)
        self.retry_delay_s = retry_delay_s
        # A server that has room for them says them in the message already.
        told = [one for one in field_violations if one.description not in message]
        fields = "".join(f"\n  {one.field}: {one.description}" for one in told)
        super().__init__(message + fields)

    @property
    def reason_name(self) -> str:
        """The reason as the server writes it, such as `WRONG_STATE`; without one, the status code's name."""
        unspecified = self.reason == ErrorReason.ERROR_REASON_UNSPECIFIED
        return self.code.name if unspecified else enum_name(ErrorReason, self.reason)


class Unavailable(CallFailed, code=grpc.StatusCode.UNAVAILABLE):
    """No server answers there, or it is stopping, or it can't reach its backend. Try again later."""


class DeadlineExceeded(CallFailed, code=grpc.StatusCode.DEADLINE_EXCEEDED):
    """No answer came within `timeout_s`. The server may have done the work nevertheless."""


class InvalidArgument(CallFailed, code=grpc.StatusCode.INVALID_ARGUMENT):
    """The request is wrong; `field_violations` names the fields."""


class NotFound(CallFailed, code=grpc.StatusCode.NOT_FOUND):
    """The resource does not exist."""


class AlreadyExists(CallFailed, code=grpc.StatusCode.ALREADY_EXISTS):
    """The resource exists already."""


class FailedPrecondition(CallFailed, code=grpc.StatusCode.FAILED_PRECONDITION):
    """The resource is not in the state that the call needs."""


class OutOfRange(CallFailed, code=grpc.StatusCode.OUT_OF_RANGE):
    """A position is beyond the end."""


class Aborted(CallFailed, code=grpc.StatusCode.ABORTED):
    """Another call changed the resource at the same time."""


class ResourceExhausted(CallFailed, code=grpc.StatusCode.RESOURCE_EXHAUSTED):
    """A limit of the server, or the largest size of a message, was exceeded."""


class Unauthenticated(CallFailed, code=grpc.StatusCode.UNAUTHENTICATED):
    """The server asks for a token, and it is missing, unknown, expired or revoked."""


class PermissionDenied(CallFailed, code=grpc.StatusCode.PERMISSION_DENIED):
    """No role of the caller may do this; the message names those that may."""


class DataLoss(CallFailed, code=grpc.StatusCode.DATA_LOSS):
    """The bytes that arrived have another digest than was announced."""


class Cancelled(CallFailed, code=grpc.StatusCode.CANCELLED):
    """The call was cancelled before it ended."""


class Unimplemented(CallFailed, code=grpc.StatusCode.UNIMPLEMENTED):
    """The server does not know this call: it is older than this client, or it is not a Defuse server."""


class Internal(CallFailed, code=grpc.StatusCode.INTERNAL):
    """The server failed; the message has an id that its log explains."""


class Unknown(CallFailed, code=grpc.StatusCode.UNKNOWN):
    """A status that says nothing more."""


Job = messages.Audit | messages.Correction | messages.Evaluation | messages.VaeTraining
Registration = messages.Classifier | messages.Vae | messages.Dataset


class JobFailed(DefuseError):
    """A job FAILED; `failure` says why, with a reason, a message and figures."""

    def __init__(self, resource: Job | Registration) -> None:
        self.resource = resource
        self.failure: messages.Failure = resource.failure
        super().__init__(f"{resource.name} failed: {self.reason_name}: {self.failure.message}")

    @property
    def reason_name(self) -> str:
        """The failure's reason, such as `PREFLIGHT_READABILITY`; a number if this client does not know it."""
        return enum_name(ErrorReason, self.failure.reason)


class Rejected(JobFailed):
    """The inspection of a model or a dataset found that it can't be used."""


class JobCancelled(DefuseError):
    """A job was cancelled while it was waited for."""

    def __init__(self, resource: Job) -> None:
        self.resource = resource
        super().__init__(f"{resource.name} was cancelled")


_BROKEN_BEFORE_ITS_STATUS = "Internal error from Core"
"""What grpc.aio reports for a call that the server ended while the client was still sending."""


def from_rpc_error(error: grpc.RpcError) -> CallFailed:
    """Turn an error of grpc, sync or async, into the error above that its status and details describe."""
    call = cast(grpc.Call, error)
    code = call.code()
    if code is grpc.StatusCode.INTERNAL and call.details() == _BROKEN_BEFORE_ITS_STATUS:
        # The server's own status is lost: another call brings either success or that status.
        code = grpc.StatusCode.UNAVAILABLE
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    status = _status_of(call)
    for detail in status.details if status else ():
        for known in (info, request, retry):
            _unpack(detail, known)
    ours = info.domain == ERROR_DOMAIN
    return ERROR_BY_CODE.get(code, Unknown)(
        call.details() or code.name,
        reason=_reason(info.reason) if ours else ErrorReason.ERROR_REASON_UNSPECIFIED,
        figures=dict(info.metadata) if ours else {},
        field_violations=[FieldViolation(one.field, one.description) for one in request.field_violations],
        retry_delay_s=retry.retry_delay.ToTimedelta().total_seconds(),
    )


def _status_of(call: grpc.Call) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(call)
    except (DecodeError, ValueError):
        # A proxy wrote or cut off these trailers: the code and its message are still worth showing.
        return None


def _unpack(detail: Any, into: Message) -> None:
    try:
        if detail.Is(cast(Descriptor, into.DESCRIPTOR)):
            detail.Unpack(into)
    except DecodeError:
        return


def _reason(name: str) -> ErrorReason:
    try:
        return cast(ErrorReason, ErrorReason.Value(f"ERROR_REASON_{name}"))
    except ValueError:
        return ErrorReason.ERROR_REASON_UNSPECIFIED
