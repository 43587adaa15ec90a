"""Formats figures and names for people."""

import datetime
import math
from collections.abc import Sequence

from defuse.v1.models_pb2 import Interval
from google.protobuf.timestamp_pb2 import Timestamp


def percent(share: float, digits: int = 1) -> str:
    """Return a share in 0..1 as `97.3 %`. A ratio of two measured shares may be above 1, and counts as 1."""
    return f"{min(share, 1.0):.{digits}%}".replace("%", "\N{NARROW NO-BREAK SPACE}%")


def share_of_all(share: float) -> str:
    """Return a share in 0..1 as `97.3 %`, also of what is more than nothing and less than a digit."""
    return f"< {percent(0.001)}" if 0 < share < 0.0005 else percent(share)


def small(value: float) -> str:
    """Return a number of any magnitude in three digits, never with an exponent."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    text = f"{round(value, digits):,.{max(digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if digits > 0 else text


def per_million(harm: Interval) -> str:
    """Return a region's harm, a share of all inputs with its interval, as `12 per million (4 to 31)`."""
    value, lower, upper = (_millionths(share) for share in (harm.value, harm.lower, harm.upper))
    return f"{value} per million ({lower} to {upper})"


def _millionths(share: float) -> str:
    """Return two digits of the share in millionths, and no decimals beyond the first."""
    value = 1e6 * share
    if value < 0.1:
        return "< 0.1"
    digits = 1 if value < 9.95 else 1 - math.floor(math.log10(value))
    text = f"{round(value, digits):,.1f}"
    return text.removesuffix(".0")


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun, such as `3 regions`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(time: Timestamp) -> str:
    """Return a time in UTC to the minute, or an empty text if it is not set."""
    if not time.seconds:
        return ""
    return time.ToDatetime(tzinfo=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def short(name: str) -> str:
    """Return the id in a resource's name."""
    return name.rpartition("/")[2]


def class_name(class_names: Sequence[str], label: int) -> str:
    """Return the name of a class, or its number if the dataset does not name it."""
    return class_names[label] if 0 <= label < len(class_names) else str(label)
