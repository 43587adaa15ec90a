"""The change of an accuracy between two classifiers that were asked the same items."""

import math
from typing import Final

from scipy import special

from defuse_server.gate.statistics.interval import Interval, normal_quantile

CORRECTION: Final = 0.5
"""Counts are whole: half an item nearer to what is tested, and no end errs noticeably more often than it
says. Without it an end errs twice as often where losses are common and gains rare."""
_STEPS: Final = 60
"""Halvings of an interval of length 2: to the last bit."""


def change_interval(
    lost: float, gained: float, items: float, error: float, correction: float = CORRECTION
) -> Interval:
    """Interval of (gained - lost) / items, the difference of two paired proportions.

    Tango's score interval (T. Tango, Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design, Statistics in Medicine 17, 1998) with a continuity correction:
    all changes that the score test does not refuse; at a change of 0 that test is McNemar's. It is
    honest where few items or none are classified differently, too. Without items it is [-1, 1].
    """
    if items == 0:
        return Interval(0.0, -1.0, 1.0, 0, error)
    value, quantile = (gained - lost) / items, normal_quantile(error)
    lower = -_upper_end(gained, lost, items, quantile, correction)
    upper = _upper_end(lost, gained, items, quantile, correction)
    return Interval(value, min(lower, value), max(upper, value), int(items), error)


def _upper_end(lost: float, gained: float, items: float, quantile: float, correction: float) -> float:
    """The largest change that is not refused: the farther above the value, the less likely."""
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
    """Of gained - lost under a change, with the share of losses that is likeliest then."""
    a = 2 * items
    b = -gained - lost + (a - gained + lost) * change
    c = -lost * change * (1 - change)
    share_lost = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    return max(items * (2 * share_lost + change * (1 - change)), 0.0)


def mcnemar_p(lost: int, gained: int) -> float:
    """Two-sided exact p-value of no change: of the items that changed, half are lost (Q. McNemar, 1947)."""
    fewer, changed = min(lost, gained), lost + gained
    return min(1.0, 2 * float(special.bdtr(fewer, changed, 0.5))) if changed else 1.0
