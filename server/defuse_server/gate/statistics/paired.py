"""The change of an accuracy between two classifiers on the same items."""

import math
from typing import Final

from scipy import special

from defuse_server.gate.statistics.interval import Interval, normal_quantile

CORRECTION: Final = 0.5
"""Continuity correction of half an item, as counts are whole numbers. Without it, an end errs twice as often
as its error says if losses are common and gains rare."""
_STEPS: Final = 60
"""Halvings of an interval of length 2, down to the last bit."""


def change_interval(
    lost: float, gained: float, items: float, error: float, correction: float = CORRECTION
) -> Interval:
    """Return the interval of (gained - lost) / items, the difference of two paired proportions.

    This is Tango's score interval (T. Tango, Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design, Statistics in Medicine 17, 1998) with a continuity correction.
    It holds all changes that the score test does not reject; at a change of 0 that test is McNemar's. It is
    valid even if few or no items are classified differently. Without items it is [-1, 1].
    """
    if items == 0:
        return Interval(0.0, -1.0, 1.0, 0, error)
    value, quantile = (gained - lost) / items, normal_quantile(error)
    lower = -_upper_end(gained, lost, items, quantile, correction)
    upper = _upper_end(lost, gained, items, quantile, correction)
    return Interval(value, min(lower, value), max(upper, value), int(items), error)


def _upper_end(lost: float, gained: float, items: float, quantile: float, correction: float) -> float:
    """Return the largest change that is not rejected, found by bisection."""
    low, high = (gained - lost) / items, 1.0
    for _ in range(_STEPS):
        change = (low + high) / 2
        distance = items * change - (gained - lost) - correction
        if distance > quantile * math.sqrt(_variance(lost, gained, items, change)):
            high = change
        else:
            low = change
    return high


def _variance(lost: float, gained: float, items: float, change: float) -> float:
    """Return the variance of gained - lost under a change, with the likeliest share of losses."""
    a = 2 * items
    b = -gained - lost + (a - gained + lost) * change
    c = -lost * change * (1 - change)
    share_lost = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    return max(items * (2 * share_lost + change * (1 - change)), 0.0)


def mcnemar_p(lost: int, gained: int) -> float:
    """Return the exact two-sided p-value of no change: half of the changes are losses (McNemar, 1947)."""
    fewer, changed = min(lost, gained), lost + gained
    return min(1.0, 2 * float(special.bdtr(fewer, changed, 0.5))) if changed else 1.0
