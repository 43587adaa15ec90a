"""What callers see of an error. This is the one table from an error's reason to its status code."""

import uuid
from collections.abc import Mapping
from typing import Final

import grpc
import structlog
from defuse.v1.error_reason_pb2 import ErrorReason

from defuse_server.errors import BackendUnavailable, DefuseError
from defuse_server.host.redis_client import UNREACHABLE

_log = structlog.get_logger(__name__)

CODES: Final[Mapping[ErrorReason, grpc.StatusCode]] = {
    ErrorReason.ERROR_REASON_INVALID_FIELD: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_RESOURCE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorReason.ERROR_REASON_REQUEST_ID_REUSED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_CURSOR_UNKNOWN: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorReason.ERROR_REASON_PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    ErrorReason.ERROR_REASON_QUOTA_EXCEEDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorReason.ERROR_REASON_RESOURCE_IN_USE: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_WRONG_STATE: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_RESOURCES_MISMATCHED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_BACKEND_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorReason.ERROR_REASON_INTERNAL: grpc.StatusCode.INTERNAL,
    ErrorReason.ERROR_REASON_DIGEST_MISMATCH: grpc.StatusCode.DATA_LOSS,
    ErrorReason.ERROR_REASON_SIZE_MISMATCH: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_OFFSET_MISMATCH: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_NO_CONFIRMED_BUG: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_MODEL_NOT_DIFFERENTIABLE: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_LEASE_LOST: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_LABEL_UNKNOWN: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_REGION_CLOSED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_IMPORT_UNREADABLE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_CANDIDATE_CHANGED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_POLICY_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
}


def known(error: Exception) -> DefuseError:
    """Return the error as clients may see it. An unknown one is logged, and becomes an incident id."""
    if isinstance(error, DefuseError) and error.reason in CODES:
        return error
    if isinstance(error, UNREACHABLE):
        _log.warning("redis.unreachable", error=str(error))
        return BackendUnavailable("the server can't reach its Redis: try again")
    incident = uuid.uuid4().hex
    _log.error("rpc.failed", incident=incident, exc_info=error)
    return _Internal(incident)


class _Internal(DefuseError, reason=ErrorReason.ERROR_REASON_INTERNAL):
    def __init__(self, incident: str) -> None:
        super().__init__(
            f"unexpected error: the server's log has it under incident {incident}",
            figures={"incident": incident},
        )
