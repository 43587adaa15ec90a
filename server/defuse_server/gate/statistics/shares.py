"""The interval of one share."""

import math

from scipy import special

from defuse_server.gate.statistics.interval import Interval, normal_quantile


def share_interval(successes: float, trials: int, error: float) -> Interval:
    """Wilson's score interval, each end widened to the exact one where that is wider; [0, 1] without trials.

    Near 0 and 1, at the small errors of many checks, Wilson's inner end would err twice as often as it says.
    The exact interval is that of C. J. Clopper and E. S. Pearson, Biometrika 26, 1934; it never does.
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
    """Both ends (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927); `trials` above 0 may be an effective number."""
    square = quantile**2
    centre = share + square / (2 * trials)
    half = quantile * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    scale = 1 + square / trials
    # The ends at 0 and 1 are exact: rounding must not move them past the value.
    lower = 0.0 if share <= 0 else min(share, (centre - half) / scale)
    upper = 1.0 if share >= 1 else max(share, (centre + half) / scale)
    return lower, upper
