"""What the fields of requests are made of: names, enums, time spans."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.message import Message

from defuse.errors import ArgumentError
from defuse.settings import enum_names
from defuse.v1.models_pb2 import Layout, Preprocessing


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Named = str | _HasName
"""A resource, or its name, such as `audits/7f3a`."""

C = TypeVar("C", bound=Message)
E = TypeVar("E", bound=int)


def name_of(resource: Named | None) -> str:
    """Return the resource's name; None has an empty one."""
    return resource.name if resource is not None and not isinstance(resource, str) else resource or ""


def enum_value(enum: type[E], value: E | str | None) -> E:
    """Return an enum's value, given as a number or as a name such as `dawid_skene` or `DAWID-SKENE`.

    Names come without their prefix. None stands for the unspecified value. Raises `ArgumentError` for a name
    that the enum does not have.
    """
    return cast(E, 0 if value is None else _enum_number(cast(Any, enum).DESCRIPTOR, value))


def _enum_number(enum: EnumDescriptor, value: int | str) -> int:
    if not isinstance(value, str):
        return value
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    found = enum.values_by_name.get(prefix + value.upper().replace("-", "_"))
    if found is None:
        choices = ", ".join(enum_names(enum).values())
        raise ArgumentError(f"{prefix.rstrip('_').lower()} must be one of {choices}; got {value!r}")
    return found.number


def config_of(config: type[C], settings: Mapping[str, Any]) -> C:
    """Return a config with these settings, in which an enum's value may be a name as in `enum_value`."""
    return config(**_numbered(cast(Descriptor, config.DESCRIPTOR), settings))


def _numbered(config: Descriptor, settings: Mapping[str, Any]) -> dict[str, Any]:
    numbered = dict(settings)
    for field in config.fields:
        value = settings.get(field.name)
        if field.message_type:
            numbered[field.name] = _numbered(field.message_type, value) if value else None
        elif field.enum_type and isinstance(value, int | str):
            numbered[field.name] = _enum_number(field.enum_type, value)
        elif field.enum_type and value is not None:
            numbered[field.name] = [_enum_number(field.enum_type, each) for each in value]
    return numbered


def preprocessing(
    layout: Layout | str | None, scale: float | None, mean: Sequence[float], std: Sequence[float]
) -> Preprocessing:
    """Return the message for `(image * scale - mean) / std`."""
    return Preprocessing(
        layout=enum_value(Layout, layout), scale=scale or 0.0, mean=list(mean), std=list(std)
    )


def duration(seconds: float | None) -> timedelta | None:
    """Return a time span; None stays unset."""
    return None if seconds is None else timedelta(seconds=seconds)
