"""Measures how far annotators agree beyond chance."""

from collections import Counter
from collections.abc import Iterable, Sequence


def krippendorff_alpha(units: Iterable[Sequence[str]]) -> float | None:
    """Return Krippendorff's alpha for nominal values.

    `units` holds the values that were given to each unit; missing values are left out, and so are units with
    fewer than two values. An alpha of 1 is full agreement, 0 is what chance gives, and below 0 is systematic
    disagreement. Returns None if no unit has two values or if all values are the same. (K. Krippendorff,
    Content Analysis, 2nd edition 2004, section 11.3: one minus observed over expected disagreement, of the
    coincidences of values within units.)
    """
    totals: Counter[str] = Counter()
    observed = 0.0
    for values in units:
        if len(values) < 2:
            continue
        counts = Counter(values)
        totals += counts
        # Ordered pairs of different values in this unit, each weighted by 1 / (m - 1).
        pairs = len(values) ** 2 - sum(count**2 for count in counts.values())
        observed += pairs / (len(values) - 1)
    number = totals.total()
    different = number**2 - sum(count**2 for count in totals.values())
    if different == 0:
        return None
    return 1 - (number - 1) * observed / different
