"""How far annotators agree beyond chance."""

from collections import Counter
from collections.abc import Iterable, Sequence


def krippendorff_alpha(units: Iterable[Sequence[str]]) -> float | None:
    """Return Krippendorff's alpha for nominal values; units with fewer than two values take no part.

    `units` holds the values that were given to each unit; who gave none is left out (missing data). 1 is
    agreement throughout, 0 what chance gives, below 0 systematic disagreement. None where no unit has two
    values, or all values are the same: then nothing can be said. (K. Krippendorff, Content Analysis, 2nd
    edition 2004, section 11.3: one minus observed over expected disagreement, of the coincidences of values
    within units.)
    """
    totals: Counter[str] = Counter()
    observed = 0.0
    for values in units:
        if len(values) < 2:
            continue
        counts = Counter(values)
        totals += counts
        # Ordered pairs of different values in this unit, each weighed by 1 / (m - 1).
        pairs = len(values) ** 2 - sum(count**2 for count in counts.values())
        observed += pairs / (len(values) - 1)
    number = totals.total()
    different = number**2 - sum(count**2 for count in totals.values())
    if different == 0:
        return None
    return 1 - (number - 1) * observed / different
