"""An interval, and the quantile of its confidence."""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist


@dataclass(frozen=True)
class Interval:
    """A two-sided interval of an estimate: `lower <= value <= upper`."""

    value: float
    lower: float
    upper: float
    samples: int
    """Number of items, samples or seeds."""
    error: float
    """One minus the confidence, split evenly over both sides."""


@lru_cache
def normal_quantile(error: float) -> float:
    """Return how many standard deviations leave `error` / 2 on each side."""
    return NormalDist().inv_cdf(1 - error / 2)
