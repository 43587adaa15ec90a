"""Canonical JSON: the same content gives the same bytes."""

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def canonical(document: Any) -> bytes:
    """Return JSON in UTF-8 with sorted keys and no spaces. Numbers are written as in Python."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def fields(message: Message) -> dict[str, Any]:
    """Return a message's fields under the contract's names, with enum values as short names.

    64-bit integers stay numbers; protobuf's own JSON writes them as text. Fields without presence are
    included even if they are zero or empty. NaN and infinity become null, as JSON has neither.
    """
    found: dict[str, Any] = {}
    for field in cast("Any", message.DESCRIPTOR).fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        repeats = bool(field.is_repeated)
        found[field.name] = [_plain(field, one) for one in value] if repeats else _plain(field, value)
    return found


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Message):
        return fields(value)
    if field.enum_type is not None:
        return enum_name(field.enum_type, value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def enum_name(enum: Any, number: int) -> str:
    """Return `PASS` for VERDICT_PASS, or the number as text if the contract has no name for it."""
    values: Mapping[int, Any] = enum.values_by_number
    if number not in values:
        return str(number)
    # The first value is the prefix and `UNSPECIFIED`.
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    return values[number].name.removeprefix(prefix)
