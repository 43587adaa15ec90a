"""The interval of one share."""

from __future__ import annotations

import math

from defuse_server.gate.statistics.interval import Interval, normal_quantile


def share_interval(successes: float, trials: int, error: float) -> Interval:
    """Wilson's score interval (E. B. Wilson, Probable inference, J. Am. Stat. Assoc. 22, 1927).

    Without trials it is [0, 1].
    """
    if trials == 0:
        return Interval(0.0, 0.0, 1.0, 0, error)
    lower, upper = wilson(successes / trials, trials, normal_quantile(error))
    return Interval(successes / trials, lower, upper, trials, error)


def wilson(share: float, trials: float, quantile: float) -> tuple[float, float]:
    """Lower and upper end; `trials` above 0 may be an effective number."""
    square = quantile**2
    centre = share + square / (2 * trials)
    half = quantile * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    scale = 1 + square / trials
    # The ends at 0 and 1 are exact: rounding must not move them past the value.
    lower = 0.0 if share <= 0 else min(share, (centre - half) / scale)
    upper = 1.0 if share >= 1 else max(share, (centre + half) / scale)
    return lower, upper
