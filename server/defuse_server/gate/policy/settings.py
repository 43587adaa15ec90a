"""What each key of a policy may hold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from defuse_server.gate.policy import bounds


@dataclass(frozen=True)
class Setting:
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


_ACCURACY = Setting(
    0,
    1,
    above=True,
    below=True,
    never="the lower end of an interval lies between, however many items there are",
)
_CHANGE = Setting(-1, 1, above=True, below=True, never="the lower end of an interval lies between")

_ABOVE_0 = "the upper end of an interval lies above 0"


def _count(low: int, high: int, *, off: bool = False) -> Setting:
    return Setting(low, high, whole=True, may_be_off=off)


CONFIDENCE: Final = Setting(0.8, 0.9999)

CHECKS: Final[Mapping[str, tuple[type[Any], Mapping[str, Setting]]]] = MappingProxyType(
    {
        "clean_accuracy": (bounds.LeastAccuracy, {"min": _ACCURACY}),
        "clean_accuracy_change": (bounds.LeastChange, {"min": _CHANGE}),
        "class_accuracy_change": (bounds.LeastChange, {"min": _CHANGE}),
        "region_accuracy": (bounds.RegionAccuracy, {"min": _ACCURACY, "samples": _count(1, 100_000)}),
        "second_search": (
            bounds.SecondSearch,
            {
                "max_ratio": Setting(0, 100, above=True, may_be_off=True, never=_ABOVE_0),
                "max_rate": Setting(0, 1, above=True, below=True, may_be_off=True, never=_ABOVE_0),
            },
        ),
        "unlabeled_regions": (
            bounds.UnlabeledRegions,
            {
                "max_count": _count(0, 1_000_000_000, off=True),
                "max_harm_share": Setting(0, 1, below=True, may_be_off=True),
            },
        ),
        "annotator_agreement": (bounds.AnnotatorAgreement, {"min": Setting(0, 1, above=True)}),
        "audit_age": (bounds.AuditAge, {"max_days": Setting(0, 36_500, above=True)}),
    }
)
"""The class of each check's bounds, and its keys."""

AUDIT: Final[Mapping[str, Setting]] = MappingProxyType(
    {
        "seed": _count(0, 2**53),
        "max_seeds": _count(1, 1_000_000_000),
        "candidates_per_seed": _count(1, 10_000),
        "kept_per_seed": _count(1, 1000),
        "max_candidates": _count(1, 2**53, off=True),
        "budget_s": Setting(0, 1e9, above=True, may_be_off=True),
        "patience_shards": _count(1, 1_000_000_000, off=True),
        "annotators_per_region": _count(1, 15),
    }
)
