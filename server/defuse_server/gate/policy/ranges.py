"""What each key of a policy may hold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from defuse.settings import field_of, is_whole, setting_of
from defuse.v1.audit_service_pb2 import AuditConfig

from defuse_server.gate.policy import bounds


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


_ACCURACY = Range(
    0,
    1,
    above=True,
    below=True,
    never="the lower end of an interval lies between, however many items there are",
)
_CHANGE = Range(-1, 1, above=True, below=True, never="the lower end of an interval lies between")

_ABOVE_0 = "the upper end of an interval lies above 0"


def _count(low: int, high: int, *, off: bool = False) -> Range:
    return Range(low, high, whole=True, may_be_off=off)


CONFIDENCE: Final = Range(0.8, 0.9999)

CHECKS: Final[Mapping[str, tuple[type[Any], Mapping[str, Range]]]] = {
    "clean_accuracy": (bounds.LeastAccuracy, {"min": _ACCURACY}),
    "clean_accuracy_change": (bounds.LeastChange, {"min": _CHANGE}),
    "class_accuracy_change": (bounds.LeastChange, {"min": _CHANGE}),
    "region_accuracy": (bounds.RegionAccuracy, {"min": _ACCURACY, "samples": _count(1, 100_000)}),
    "second_search": (
        bounds.SecondSearch,
        {
            "max_ratio": Range(0, 100, above=True, may_be_off=True, never=_ABOVE_0),
            "max_rate": Range(0, 1, above=True, below=True, may_be_off=True, never=_ABOVE_0),
        },
    ),
    "unlabeled_regions": (
        bounds.UnlabeledRegions,
        {
            "max_count": _count(0, 1_000_000_000, off=True),
            "max_harm_share": Range(0, 1, below=True, may_be_off=True),
        },
    ),
    "annotator_agreement": (bounds.AnnotatorAgreement, {"min": Range(0, 1, above=True)}),
    "audit_age": (bounds.AuditAge, {"max_days": Range(0, 36_500, above=True)}),
}
"""The class of each check's bounds, and its keys."""


def _of_an_audit(name: str) -> Range:
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


AUDIT: Final[Mapping[str, Range]] = {
    field.name: _of_an_audit(field.name) for field in fields(bounds.AuditBudget)
}
