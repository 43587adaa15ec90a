"""Exact bounds from a sample of a finite population, drawn without replacement."""

import math
from typing import Final

ERROR: Final = 0.05
"""Probability that a one-sided bound is wrong."""


def at_most(found: int, population: int, marked: int, sample: int) -> float:
    """Return the probability of at most `found` marked in a sample, if `marked` of the population are.

    It is 0 if so few are impossible.
    """
    least = max(0, sample - (population - marked))
    ways = sum(
        math.comb(marked, k) * math.comb(population - marked, sample - k)
        for k in range(least, min(found, marked, sample) + 1)
    )
    return ways / math.comb(population, sample)


def most_marked(found: int, population: int, sample: int) -> int:
    """Return the largest number of marked members that gives so few in the sample with more than 5%.

    `found` of the sample are marked. The bound holds with a probability of at least 95%.
    """
    # The probability falls as the number grows, so it can be bisected. The unseen part bounds it.
    low, high = found, found + population - sample
    while low < high:
        middle = (low + high + 1) // 2
        if at_most(found, population, middle, sample) > ERROR:
            low = middle
        else:
            high = middle - 1
    return low
