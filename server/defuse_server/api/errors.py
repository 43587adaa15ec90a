"""Turns an error into a gRPC status with its details."""

import math
from typing import Final

import grpc
from defuse.v1.error_reason_pb2 import ErrorReason
from google.protobuf import any_pb2, message
from google.rpc import error_details_pb2, status_pb2

from defuse_server.error_codes import CODES
from defuse_server.errors import DefuseError, QuotaExceeded

DOMAIN: Final = "defuse.dev"
# Larger trailers break clients and proxies. Counted as sent: details in Base64, the message percent-encoded.
TRAILER_BYTES: Final = 4096
RETRY_DELAY_S: Final = 1
_FRAMING_BYTES = 256
_MESSAGE_BYTES = 600
_FIGURE_BYTES = 200
_PREFIX = "ERROR_REASON_"


def rpc_status(error: DefuseError) -> status_pb2.Status:
    """Return the `google.rpc.Status` of an error. Its trailers stay below TRAILER_BYTES."""
    text = _clipped(error.message, _MESSAGE_BYTES)
    budget = (TRAILER_BYTES - _FRAMING_BYTES - _percent_encoded_bytes(text)) * 3 // 4
    status = status_pb2.Status(code=CODES[error.reason].value[0], message=text)
    for detail in _details(error):
        packed = any_pb2.Any()
        packed.Pack(_fitted(detail, budget - status.ByteSize() - 64))
        status.details.append(packed)
    return status


def trailers(status: status_pb2.Status) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata in which gRPC libraries look for a `google.rpc.Status`."""
    return (("grpc-status-details-bin", status.SerializeToString()),)


def _details(error: DefuseError) -> list[message.Message]:
    reason = ErrorReason.Name(error.reason).removeprefix(_PREFIX)
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    for key, value in error.figures.items():
        info.metadata[_clipped(key, _FIGURE_BYTES)] = _clipped(value, _FIGURE_BYTES)
    details: list[message.Message] = [info]
    code = CODES[error.reason]
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        failure = error_details_pb2.PreconditionFailure()
        failure.violations.add(type=reason, description=_clipped(error.message, _FIGURE_BYTES))
        details.append(failure)
    if code is grpc.StatusCode.UNAVAILABLE or isinstance(error, QuotaExceeded):
        retry = error_details_pb2.RetryInfo()
        delay_s = error.retry_s if isinstance(error, QuotaExceeded) else RETRY_DELAY_S
        retry.retry_delay.FromMilliseconds(math.ceil(delay_s * 1000))
        details.append(retry)
    # Last, because it is the one that is shortened if the details grow too large.
    if error.fields:
        request = error_details_pb2.BadRequest()
        for field, description in error.fields:
            request.field_violations.add(
                field=_clipped(field, _FIGURE_BYTES), description=_clipped(description, _FIGURE_BYTES)
            )
        details.append(request)
    return details


def _fitted(detail: message.Message, budget: int) -> message.Message:
    """Drop entries from the end until the detail fits."""
    if isinstance(detail, error_details_pb2.BadRequest):
        while detail.ByteSize() > budget and detail.field_violations:
            detail.field_violations.pop()
    if isinstance(detail, error_details_pb2.ErrorInfo):
        # Half of the budget at most: the fields that follow are worth more to a caller than the figures.
        for key in reversed(list(detail.metadata)):
            if detail.ByteSize() <= budget // 2:
                break
            del detail.metadata[key]
    return detail


def _clipped(text: str, limit_bytes: int) -> str:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit_bytes:
        return text
    return encoded[: limit_bytes - 3].decode("utf-8", "ignore") + "..."


def _percent_encoded_bytes(text: str) -> int:
    return sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in text.encode("utf-8", "replace"))
