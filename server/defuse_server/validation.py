"""Checks of requests. Each function adds to a `Violations`, so one answer names all faults."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

from google.protobuf.duration_pb2 import Duration

from defuse_server import names
from defuse_server.errors import InvalidRequest

DISPLAY_NAME_CHARACTERS: Final = 200
ANNOTATOR_CHARACTERS: Final = 100
NOTE_CHARACTERS: Final = 2000
DEVICE = re.compile(r"(auto|cpu|cuda:\d{1,3})?", re.ASCII)


class Violations:
    """Collects the faults in the fields of a request. A `with` block raises `InvalidRequest` at its end."""

    def __init__(self) -> None:
        self._fields: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is None:
            self.check()

    def require(self, holds: bool, field: str, description: str) -> None:
        """Add `description` (what was expected, what came) for `field`, unless the requirement holds."""
        if not holds:
            self._fields.append((field, description))

    def attempt(self, parse: Callable[[], object]) -> None:
        """Add the fields of an `InvalidRequest` that `parse` raises."""
        try:
            parse()
        except InvalidRequest as error:
            self._fields.extend(error.fields)

    def check(self) -> None:
        """Raise `InvalidRequest` if a fault was found."""
        if self._fields:
            raise InvalidRequest(self._fields)


def creation(found: Violations, request: Any) -> None:
    """Check `request_id` and `display_name`, which every request that creates a resource has."""
    found.require(
        names.is_uuid4(request.request_id),
        "request_id",
        f"expected a lower-case UUID of version 4, got {request.request_id[:100]!r}",
    )
    text(found, "display_name", request.display_name, DISPLAY_NAME_CHARACTERS)


def name(found: Violations, field: str, value: str, collection: str) -> None:
    """Check a resource name, `{collection}/{id}`."""
    found.attempt(lambda: names.resource_id(collection, value, field))


def artifact(found: Violations, field: str, value: str) -> None:
    """Check an artifact's name, `artifacts/{sha256}`."""
    found.attempt(lambda: names.artifact_sha256(value, field))


def task_name(found: Violations, field: str, value: str) -> None:
    """Check the name of what a label task is about, a bug or a region."""
    found.attempt(lambda: names.parse_task_name(value, field))


def text(found: Violations, field: str, value: str, most: int, least: int = 0) -> None:
    """Check a text of `least` to `most` characters, all printable, line breaks or tabs."""
    found.require(
        least <= len(value) <= most, field, f"expected {least} to {most} characters, got {len(value)}"
    )
    found.require(
        all(character.isprintable() or character in "\n\t" for character in value),
        field,
        "expected printable characters, got control characters",
    )


def member(found: Violations, field: str, value: int, enum: Any) -> None:
    """Check that a number is a value of the enum."""
    found.require(value in enum.values(), field, f"expected one of {', '.join(enum.keys())}, got {value}")


def check_state(value: int, enum: Any) -> None:
    """Check the filter of a List request. Raises `InvalidRequest`."""
    with Violations() as violations:
        member(violations, "state", value, enum)


def device(found: Violations, field: str, value: str) -> None:
    """Check the name of a device."""
    found.require(
        DEVICE.fullmatch(value) is not None,
        field,
        f"expected auto, cpu, cuda:N, or nothing for the server's default, got {value!r}",
    )


def between(found: Violations, field: str, value: int, low: int, high: int) -> None:
    """Check an integer in `low`..`high`, or 0 for the default."""
    found.require(
        value == 0 or low <= value <= high,
        field,
        f"expected {low} to {high} (0 for the default), got {value}",
    )


def finite(found: Violations, field: str, values: Iterable[float]) -> None:
    """Check that there is no NaN and no infinity."""
    found.require(all(map(math.isfinite, values)), field, "expected finite numbers, got NaN or infinity")


def lease_s(found: Violations, request: Any) -> float:
    """Return the length of the lease that a request asks for, in seconds; 300 by default."""
    lease: Duration = request.lease
    if not request.HasField("lease"):
        return 300.0
    seconds = lease.seconds + lease.nanos / 1e9
    found.require(1 <= seconds <= 3600, "lease", f"expected 1 s to 1 h, got {seconds:g} s")
    return seconds
