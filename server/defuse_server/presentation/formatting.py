"""How figures and names are written."""

import datetime
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp


def percent(share: float, digits: int = 1) -> str:
    """A share in 0..1, such as 97.3 %."""
    return f"{share:.{digits}%}".replace("%", "\N{NARROW NO-BREAK SPACE}%")


def small(value: float) -> str:
    """A number of any magnitude in three digits."""
    return f"{value:.3g}"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(time: Timestamp) -> str:
    """A time to the minute, UTC; empty where it is unset."""
    if not time.seconds:
        return ""
    return time.ToDatetime(tzinfo=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def short(name: str) -> str:
    """The id in a resource's name."""
    return name.rpartition("/")[2]


def class_name(class_names: Sequence[str], label: int) -> str:
    """The name of a class; its number where the dataset has none."""
    return class_names[label] if 0 <= label < len(class_names) else str(label)
