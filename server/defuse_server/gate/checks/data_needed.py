"""How much would do: the smallest number for which something holds."""

import math
from collections.abc import Callable

MOST = 10**9


def least(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest number in `low`..`high` for which `holds`, which stays true above it; None without any."""
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
    """Two significant digits, upwards: what is estimated from few items is no exact number."""
    if count < 10:
        return str(math.ceil(count))
    unit = 10 ** (math.floor(math.log10(count)) - 1)
    return f"{math.ceil(count / unit) * unit:,}"
