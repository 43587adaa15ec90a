"""What requests must look like.

Every function here adds to a `Violations`, so that one answer names all faults.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from defuse_server import names
from defuse_server.errors import InvalidRequest

DISPLAY_NAME_CHARACTERS: Final = 200
ANNOTATOR_CHARACTERS: Final = 100
NOTE_CHARACTERS: Final = 2000
DEVICE = re.compile(r"(auto|cpu|cuda:\d{1,3})?", re.ASCII)


class Violations:
    """Collects what is wrong with the fields of a request."""

    def __init__(self) -> None:
        self._fields: list[tuple[str, str]] = []

    def require(self, holds: bool, field: str, description: str) -> None:
        """Notes `description` (what was expected, what came) for `field`, unless the requirement holds."""
        if not holds:
            self._fields.append((field, description))

    def attempt(self, parse: Callable[[], object]) -> None:
        """Notes what `parse` finds, where it raises InvalidRequest."""
        try:
            parse()
        except InvalidRequest as error:
            self._fields.extend(error.fields)

    def check(self) -> None:
        """Raises InvalidRequest when something was noted."""
        if self._fields:
            raise InvalidRequest(self._fields)


def creation(found: Violations, request: Any) -> None:
    """The fields that every request has that makes a resource: `request_id` and `display_name`."""
    found.require(
        names.is_uuid4(request.request_id),
        "request_id",
        f"expected a lower-case UUID of version 4, got {request.request_id[:100]!r}",
    )
    text(found, "display_name", request.display_name, DISPLAY_NAME_CHARACTERS)


def name(found: Violations, field: str, value: str, collection: str) -> None:
    """A resource name `{collection}/{id}`."""
    found.attempt(lambda: names.resource_id(collection, value, field))


def artifact(found: Violations, field: str, value: str) -> None:
    """An artifact's name, `artifacts/{sha256}`."""
    found.attempt(lambda: names.artifact_sha256(value, field))


def region_name(found: Violations, field: str, value: str) -> None:
    """A region's name, `audits/{id}/regions/{n}`."""
    found.attempt(lambda: names.parse_region_name(value, field))


def text(found: Violations, field: str, value: str, most: int, least: int = 0) -> None:
    """A text of `least` to `most` characters, all of them printable or line breaks."""
    found.require(
        least <= len(value) <= most, field, f"expected {least} to {most} characters, got {len(value)}"
    )
    found.require(
        all(character.isprintable() or character in "\n\t" for character in value),
        field,
        "expected printable characters, got control characters",
    )


def member(found: Violations, field: str, value: int, enum: Any) -> None:
    """A value of the enum; on the wire any number fits."""
    found.require(value in enum.values(), field, f"expected one of {', '.join(enum.keys())}, got {value}")


def check_state(value: int, enum: Any) -> None:
    """The filter of a List request; raises InvalidRequest."""
    violations = Violations()
    member(violations, "state", value, enum)
    violations.check()


def device(found: Violations, field: str, value: str) -> None:
    """A device as jobs name it."""
    found.require(
        DEVICE.fullmatch(value) is not None,
        field,
        f"expected auto, cpu, cuda:N or nothing for the server's default, got {value!r}",
    )


def between(found: Violations, field: str, value: int, low: int, high: int) -> None:
    """An integer in `low`..`high`, or 0 for the default."""
    found.require(
        value == 0 or low <= value <= high,
        field,
        f"expected {low} to {high} (0 for the default), got {value}",
    )


def finite(found: Violations, field: str, values: Iterable[float]) -> None:
    """No NaN and no infinity."""
    found.require(all(map(math.isfinite, values)), field, "expected finite numbers, got NaN or infinity")


def lease_s(found: Violations, request: Any) -> float:
    """The length of the lease that a request asks for, in seconds."""
    lease: Duration = request.lease
    if not request.HasField("lease"):
        return 300.0
    seconds = lease.seconds + lease.nanos / 1e9
    found.require(1 <= seconds <= 3600, "lease", f"expected 1 s to 1 h, got {seconds:g} s")
    return seconds
