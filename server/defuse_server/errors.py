"""The errors of the service.

    DefuseError
      InvalidRequest  LabelUnknown  CursorUnknown  PageTokenInvalid  RequestIdReused  TooLarge  SizeMismatch
        ImportUnreadable  PolicyInvalid
      NotFound
      WrongState  ResourceInUse  Mismatched  OffsetMismatch  LeaseLost  RegionClosed  NoConfirmedBug
        NotDifferentiable  CandidateChanged
      DigestMismatch
      BackendUnavailable
      Unauthenticated  PermissionDenied  QuotaExceeded

Each class has one `reason` of the public contract, and `error_codes` gives each reason its status code.
`Fenced` is no DefuseError: workers see it, clients never do.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from defuse.v1 import error_reason_pb2 as reasons


class DefuseError(Exception):
    """An error that clients see.

    `message` says what was expected, what came, and what to do. `figures` are the numbers behind it, as text.
    `fields` are pairs of the path of a request's field and a description.
    """

    reason: ClassVar[reasons.ErrorReason]

    def __init_subclass__(cls, *, reason: reasons.ErrorReason) -> None:
        cls.reason = reason

    def __init__(
        self,
        message: str,
        *,
        figures: Mapping[str, str] | None = None,
        fields: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.figures: dict[str, str] = dict(figures or {})
        self.fields: list[tuple[str, str]] = list(fields)


class InvalidRequest(DefuseError, reason=reasons.ERROR_REASON_INVALID_FIELD):
    """Fields of the request are missing or out of range."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {description}" for field, description in fields), fields=fields)


class NotFound(DefuseError, reason=reasons.ERROR_REASON_RESOURCE_NOT_FOUND):
    """The named resource does not exist, or was deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist, or no longer does", figures={"name": name})


class RequestIdReused(DefuseError, reason=reasons.ERROR_REASON_REQUEST_ID_REUSED):
    """The request_id came before with another body."""


class CursorUnknown(DefuseError, reason=reasons.ERROR_REASON_CURSOR_UNKNOWN):
    """The cursor does not come from this stream."""


class PageTokenInvalid(DefuseError, reason=reasons.ERROR_REASON_PAGE_TOKEN_INVALID):
    """The page token does not come from this list and filter."""


class Unauthenticated(DefuseError, reason=reasons.ERROR_REASON_UNAUTHENTICATED):
    """The credentials are missing or wrong."""


class PermissionDenied(DefuseError, reason=reasons.ERROR_REASON_PERMISSION_DENIED):
    """The caller is known, and has no role that may do this."""


class QuotaExceeded(DefuseError, reason=reasons.ERROR_REASON_QUOTA_EXCEEDED):
    """A caller reached a limit."""

    def __init__(self, message: str, limit: str, retry_s: float) -> None:
        """Take the setting of the limit, and the seconds after which the caller may try again."""
        super().__init__(message, figures={"limit": limit})
        self.retry_s = retry_s


class ResourceInUse(DefuseError, reason=reasons.ERROR_REASON_RESOURCE_IN_USE):
    """Other resources refer to this one, so it can't be deleted."""


class WrongState(DefuseError, reason=reasons.ERROR_REASON_WRONG_STATE):
    """The resource is in another state than the call needs."""


class Mismatched(DefuseError, reason=reasons.ERROR_REASON_RESOURCES_MISMATCHED):
    """Classifier, VAE and dataset don't fit together."""


class BackendUnavailable(DefuseError, reason=reasons.ERROR_REASON_BACKEND_UNAVAILABLE):
    """Redis or the artifact store can't be reached."""


class DigestMismatch(DefuseError, reason=reasons.ERROR_REASON_DIGEST_MISMATCH):
    """The bytes don't have the digest that was announced."""


class SizeMismatch(DefuseError, reason=reasons.ERROR_REASON_SIZE_MISMATCH):
    """More or fewer bytes came than were announced."""


class OffsetMismatch(DefuseError, reason=reasons.ERROR_REASON_OFFSET_MISMATCH):
    """The data does not begin where the upload ends; the figure `committed_bytes` says where that is."""


class TooLarge(DefuseError, reason=reasons.ERROR_REASON_TOO_LARGE):
    """The upload or the file of answers is larger than this server takes."""


class NoConfirmedBug(DefuseError, reason=reasons.ERROR_REASON_NO_CONFIRMED_BUG):
    """No region's label differs from the classifier's prediction."""


class NotDifferentiable(DefuseError, reason=reasons.ERROR_REASON_MODEL_NOT_DIFFERENTIABLE):
    """An operation of the model can't be differentiated."""


class LeaseLost(DefuseError, reason=reasons.ERROR_REASON_LEASE_LOST):
    """The lease token is unknown or released, or its lease has expired."""


class LabelUnknown(DefuseError, reason=reasons.ERROR_REASON_LABEL_UNKNOWN):
    """The label is not a class of the dataset."""


class ImportUnreadable(DefuseError, reason=reasons.ERROR_REASON_IMPORT_UNREADABLE):
    """The file of answers does not have the format that the import names."""


class PolicyInvalid(DefuseError, reason=reasons.ERROR_REASON_POLICY_INVALID):
    """A policy is not YAML, or has unknown keys, values out of range, or contradictory bounds."""

    def __init__(self, faults: Sequence[tuple[int, int, str]]) -> None:
        """Take each fault as its line and column, counted from 1, and what was expected there."""
        fields = [
            (f"policy:{line}", f"line {line}, column {column}: {text}") for line, column, text in faults
        ]
        super().__init__("the policy " + "; ".join(text for _, text in fields), fields=fields)


class CandidateChanged(DefuseError, reason=reasons.ERROR_REASON_CANDIDATE_CHANGED):
    """The candidate has other bytes than the caller named."""


class RegionClosed(DefuseError, reason=reasons.ERROR_REASON_REGION_CLOSED):
    """The region is already decided."""


class Fenced(Exception):
    """A worker wrote that no longer has the job, because a newer attempt runs or the job has ended."""

    def __init__(self, name: str, attempt: int) -> None:
        super().__init__(f"{name}: attempt {attempt} no longer has the job; stop without publishing")
