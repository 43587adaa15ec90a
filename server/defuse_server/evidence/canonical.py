"""JSON whose bytes follow from its content alone."""

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def canonical(document: Any) -> bytes:
    """UTF-8, keys sorted, no spaces; numbers as Python writes them."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def fields(message: Message) -> dict[str, Any]:
    """A message's fields under the contract's names; numbers are numbers, enum values their short names.

    Unlike protobuf's own JSON, which writes 64-bit integers as text. Fields without presence are there even
    where they are zero or empty; NaN and infinity are null, as JSON has neither.
    """
    found: dict[str, Any] = {}
    for field in cast("Any", message.DESCRIPTOR).fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        found[field.name] = [_plain(field, one) for one in value] if _repeats(field) else _plain(field, value)
    return found


def _repeats(field: Any) -> bool:
    return bool(field.is_repeated)


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Message):
        return fields(value)
    if field.enum_type is not None:
        return enum_name(field.enum_type, value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def enum_name(enum: Any, number: int) -> str:
    """`PASS` of VERDICT_PASS; the number as text where the contract has no name for it."""
    values: Mapping[int, Any] = enum.values_by_number
    if number not in values:
        return str(number)
    # The first value is the type's own name with `UNSPECIFIED`: what stands before that is the prefix.
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    return values[number].name.removeprefix(prefix)
