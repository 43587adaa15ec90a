"""Gold tasks: dataset items of one known class, shown like a region to check annotators."""

import hashlib
from typing import Final

GOLD_FIRST: Final = 100_000_000
"""Numbers of gold tasks begin here, far beyond those of regions."""
_GOLD_NUMBERS: Final = 900_000_000


def is_gold(number: int) -> bool:
    """Tell whether a number is that of a gold task."""
    return number >= GOLD_FIRST


def gold_number(audit: str, index: int) -> int:
    """Return the number of an audit's gold task. It reveals neither order nor class."""
    digest = hashlib.sha256(f"{audit} gold {index}".encode()).digest()
    return GOLD_FIRST + int.from_bytes(digest[:8], "big") % _GOLD_NUMBERS
