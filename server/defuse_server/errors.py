"""The errors of the service.

    DefuseError
      InvalidRequest  LabelUnknown  CursorUnknown  PageTokenInvalid  RequestIdReused  TooLarge  SizeMismatch
        ImportUnreadable  PolicyInvalid
      NotFound
      WrongState  ResourceInUse  Mismatched  OffsetMismatch  LeaseLost  RegionClosed  NoConfirmedBug
        NotDifferentiable  CandidateChanged
      DigestMismatch
      BackendUnavailable
      Unauthenticated

Each class has one `reason` of the public contract, and `error_codes` gives each reason its status code.
`Fenced` is no DefuseError: workers see it, clients never do.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from defuse.v1.error_reason_pb2 import ErrorReason


class DefuseError(Exception):
    """An error that clients see.

    `message` says what was expected, what came, and what to do. `figures` are the numbers behind it, as text.
    `fields` are pairs of the path of a request's field and a description.
    """

    reason: ClassVar[ErrorReason] = ErrorReason.ERROR_REASON_INTERNAL

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


class InvalidRequest(DefuseError):
    """Fields of the request are missing or out of range."""

    reason = ErrorReason.ERROR_REASON_INVALID_FIELD

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {description}" for field, description in fields), fields=fields)


class NotFound(DefuseError):
    """The named resource does not exist, or was deleted."""

    reason = ErrorReason.ERROR_REASON_RESOURCE_NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist, or no longer does", figures={"name": name})
        self.name = name


class RequestIdReused(DefuseError):
    """The request_id came before with another body."""

    reason = ErrorReason.ERROR_REASON_REQUEST_ID_REUSED


class CursorUnknown(DefuseError):
    """The cursor does not come from this stream."""

    reason = ErrorReason.ERROR_REASON_CURSOR_UNKNOWN


class PageTokenInvalid(DefuseError):
    """The page token does not come from this list and filter."""

    reason = ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID


class Unauthenticated(DefuseError):
    """The credentials are missing or wrong."""

    reason = ErrorReason.ERROR_REASON_UNAUTHENTICATED


class ResourceInUse(DefuseError):
    """Other resources refer to this one, so it can't be deleted."""

    reason = ErrorReason.ERROR_REASON_RESOURCE_IN_USE


class WrongState(DefuseError):
    """The resource is in another state than the call needs."""

    reason = ErrorReason.ERROR_REASON_WRONG_STATE


class Mismatched(DefuseError):
    """Classifier, VAE and dataset don't fit together."""

    reason = ErrorReason.ERROR_REASON_RESOURCES_MISMATCHED


class BackendUnavailable(DefuseError):
    """Redis or the artifact store can't be reached."""

    reason = ErrorReason.ERROR_REASON_BACKEND_UNAVAILABLE


class DigestMismatch(DefuseError):
    """The bytes don't have the digest that was announced."""

    reason = ErrorReason.ERROR_REASON_DIGEST_MISMATCH


class SizeMismatch(DefuseError):
    """More or fewer bytes came than were announced."""

    reason = ErrorReason.ERROR_REASON_SIZE_MISMATCH


class OffsetMismatch(DefuseError):
    """The data does not begin where the upload ends; the figure `committed_bytes` says where that is."""

    reason = ErrorReason.ERROR_REASON_OFFSET_MISMATCH


class TooLarge(DefuseError):
    """The upload or the file of answers is larger than this server takes."""

    reason = ErrorReason.ERROR_REASON_TOO_LARGE


class NoConfirmedBug(DefuseError):
    """No region's label differs from the classifier's prediction."""

    reason = ErrorReason.ERROR_REASON_NO_CONFIRMED_BUG


class NotDifferentiable(DefuseError):
    """An operation of the model can't be differentiated."""

    reason = ErrorReason.ERROR_REASON_MODEL_NOT_DIFFERENTIABLE


class LeaseLost(DefuseError):
    """The lease token is unknown or released, or its lease has expired."""

    reason = ErrorReason.ERROR_REASON_LEASE_LOST


class LabelUnknown(DefuseError):
    """The label is not a class of the dataset."""

    reason = ErrorReason.ERROR_REASON_LABEL_UNKNOWN


class ImportUnreadable(DefuseError):
    """The file of answers does not have the format that the import names."""

    reason = ErrorReason.ERROR_REASON_IMPORT_UNREADABLE


class PolicyInvalid(DefuseError):
    """A policy is not YAML, or has unknown keys, values out of range, or contradictory bounds."""

    reason = ErrorReason.ERROR_REASON_POLICY_INVALID

    def __init__(self, faults: Sequence[tuple[int, int, str]]) -> None:
        """Take each fault as its line and column, counted from 1, and what was expected there."""
        fields = [
            (f"policy:{line}", f"line {line}, column {column}: {text}") for line, column, text in faults
        ]
        super().__init__("the policy " + "; ".join(text for _, text in fields), fields=fields)


class CandidateChanged(DefuseError):
    """The candidate has other bytes than the caller named."""

    reason = ErrorReason.ERROR_REASON_CANDIDATE_CHANGED


class RegionClosed(DefuseError):
    """The region is already decided."""

    reason = ErrorReason.ERROR_REASON_REGION_CLOSED


class Fenced(Exception):
    """A worker wrote that no longer has the job, because a newer attempt runs or the job has ended."""

    def __init__(self, name: str, attempt: int) -> None:
        super().__init__(f"{name}: attempt {attempt} no longer has the job; stop without publishing")
        self.name = name
        self.attempt = attempt
