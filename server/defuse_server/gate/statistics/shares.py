"""The interval of one share."""

import math

from scipy import special

from defuse_server.gate.statistics.interval import Interval, normal_quantile


def share_interval(successes: float, trials: int, error: float) -> Interval:
    """Return Wilson's score interval, with each end widened to the exact one if that is wider.

    Near 0 and 1, at the small errors of many checks, Wilson's inner end would err twice as often as its error
    says. The exact interval (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934) never does. Without trials
    the interval is [0, 1].
    """
    if trials == 0:
        return Interval(0.0, 0.0, 1.0, 0, error)
    lower, upper = wilson(successes / trials, trials, normal_quantile(error))
    failures = trials - successes
    if successes > 0:
        lower = min(lower, float(special.betaincinv(successes, failures + 1, error / 2)))
    if failures > 0:
        upper = max(upper, float(special.betaincinv(successes + 1, failures, 1 - error / 2)))
    return Interval(successes / trials, lower, upper, trials, error)


def wilson(share: float, trials: float, quantile: float) -> tuple[float, float]:
    """Return both ends (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927). `trials` may be an effective number."""
    square = quantile**2
    centre = share + square / (2 * trials)
    half = quantile * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    scale = 1 + square / trials
    # The ends at 0 and 1 are exact. Rounding must not move an end past the value.
    lower = 0.0 if share <= 0 else min(share, (centre - half) / scale)
    upper = 1.0 if share >= 1 else max(share, (centre + half) / scale)
    return lower, upper
