"""What the fields of requests are made of: names, enums, time spans."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast

from google.protobuf.duration_pb2 import Duration

from defuse.errors import ArgumentError
from defuse.v1.models_pb2 import Layout, Preprocessing


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Named = str | _HasName
"""A resource, or its name, such as `audits/7f3a`."""

E = TypeVar("E", bound=int)


def new_request_id() -> str:
    """Return a new id, by which the server recognises that a create is repeated."""
    return str(uuid.uuid4())


def name_of(resource: Named | None) -> str:
    """Return the resource's name; None has an empty one."""
    return resource.name if resource is not None and not isinstance(resource, str) else resource or ""


def enum_value(enum: type[E], prefix: str, value: E | str | None) -> E:
    """Return an enum's value, given as a number or as a name such as `dawid_skene` or `DAWID-SKENE`.

    Names come without their prefix. None stands for the unspecified value. Raises `ArgumentError` for a name
    that the enum does not have.
    """
    if value is None:
        return cast(E, 0)
    if not isinstance(value, str):
        return value
    names: dict[str, E] = {
        name.removeprefix(prefix).lower(): number for name, number in cast(Any, enum).items()
    }
    try:
        return names[value.lower().replace("-", "_")]
    except KeyError:
        choices = ", ".join(name for name in names if name != "unspecified")
        raise ArgumentError(f"{prefix.rstrip('_').lower()} must be one of {choices}; got {value!r}") from None


def preprocessing(
    layout: Layout | str | None, scale: float | None, mean: Sequence[float], std: Sequence[float]
) -> Preprocessing:
    """Return the message for `(image * scale - mean) / std`."""
    return Preprocessing(
        layout=enum_value(Layout, "LAYOUT_", layout), scale=scale or 0.0, mean=list(mean), std=list(std)
    )


def duration(seconds: float | None) -> Duration | None:
    """Return a time span; None stays unset."""
    if seconds is None:
        return None
    span = Duration()
    span.FromTimedelta(timedelta(seconds=seconds))
    return span
