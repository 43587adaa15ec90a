"""What each key of a policy may hold."""

import math
from dataclasses import dataclass
from typing import Any, get_type_hints

from defuse.settings import field_of, is_whole, setting_of
from defuse.v1.audit_service_pb2 import AuditConfig


@dataclass(frozen=True)
class Range:
    """A number in a range; `above` and `below` leave out the range's ends."""

    low: float
    high: float
    above: bool = False
    below: bool = False
    whole: bool = False
    may_be_off: bool = False
    never: str = ""
    """Why what lies outside could not be met by anything."""

    def fault(self, value: float) -> str | None:
        """What is wrong with a value; None where nothing is."""
        if not math.isfinite(value):
            return f"expected {self}, got {value}"
        if self.whole and value != int(value):
            return f"expected {self}, got {value:g}"
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        if low and high:
            return None
        return f"expected {self}, got {value:g}" + (f": {self.never}" if self.never else "")

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = f"{'above' if self.above else 'at least'} {self.low:,g}"
        high = f"{'below' if self.below else 'at most'} {self.high:,g}"
        return f"{kind} {low} and {high}" + (", or off" if self.may_be_off else "")


def ranges_of(bounds: type[Any]) -> dict[str, Range]:
    """Return the range of each field of a check's bounds."""
    hints = get_type_hints(bounds, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def range_of_setting(name: str) -> Range:
    """Return the range of a setting of AuditConfig."""
    field = field_of(AuditConfig, name)
    declared = setting_of(field)
    # YAML's numbers are read as doubles: above 2^53 they are no longer exact.
    largest = 2**31 - 1 if field.cpp_type == field.CPPTYPE_INT32 else 2**53
    return Range(
        declared.above or declared.least,
        declared.most or largest,
        above=declared.HasField("above"),
        whole=is_whole(field),
        may_be_off=declared.or_never or not declared.default,
    )
