"""Gold tasks: dataset items of one class, whose label is known, shown as if they were a region."""

import hashlib
from typing import Final

GOLD_FIRST: Final = 100_000_000
"""Their numbers begin here, far beyond any region's."""
_GOLD_NUMBERS: Final = 900_000_000


def is_gold(number: int) -> bool:
    """Whether a task's number is that of a gold task."""
    return number >= GOLD_FIRST


def gold_number(audit: str, index: int) -> int:
    """Return the number of an audit's gold task, the same each time; neither order nor class shows in it."""
    digest = hashlib.sha256(f"{audit} gold {index}".encode()).digest()
    return GOLD_FIRST + int.from_bytes(digest[:8], "big") % _GOLD_NUMBERS
