"""Computes how much data a check needs."""

import math
from collections.abc import Callable

MOST = 10**9


def least(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the smallest number in `low`..`high` for which the monotone `holds` is true, or None."""
    if not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def rounded_up(count: float) -> str:
    """Return two significant digits, rounded up: an estimate from few items is not exact."""
    if count < 10:
        return str(math.ceil(count))
    unit = 10 ** (math.floor(math.log10(count)) - 1)
    return f"{math.ceil(count / unit) * unit:,}"
