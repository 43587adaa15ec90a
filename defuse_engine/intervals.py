"""Confidence intervals of counted rates."""

from __future__ import annotations

from math import sqrt

from defuse_engine.types import Interval

Z_95 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""


def wilson(successes: int | float, samples: int | float) -> Interval:
    """Return `successes / samples` with Wilson's 95% score interval; [0, 1] if nothing was counted.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209.
    Shared observations may count as fractions. Raises `ValueError` unless 0 <= successes <= samples.
    """
    if not 0 <= successes <= samples:
        raise ValueError(f"successes must be in 0..{samples}, got {successes}")
    if samples == 0:
        return Interval(0.0, 0.0, 1.0, 0)
    rate = successes / samples
    z2_n = Z_95 * Z_95 / samples
    centre = (rate + z2_n / 2) / (1 + z2_n)
    half_width = Z_95 * sqrt(rate * (1 - rate) / samples + z2_n / (4 * samples)) / (1 + z2_n)
    # Rounding must not push a bound past the rate itself.
    return Interval(
        rate,
        min(rate, max(0.0, centre - half_width)),
        max(rate, min(1.0, centre + half_width)),
        int(samples),
    )
