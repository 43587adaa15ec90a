"""Gold tasks: dataset items of one known class, shown like a bug to check annotators."""

import hashlib
from typing import Final

from defuse_server.names import FIRST_GOLD

_GOLD_NUMBERS: Final = 900_000_000


def is_gold(number: int) -> bool:
    """Tell whether a number is that of a gold task."""
    return number >= FIRST_GOLD


def gold_number(audit: str, index: int) -> int:
    """Return the number of an audit's gold task. It reveals neither order nor class."""
    digest = hashlib.sha256(f"{audit} gold {index}".encode()).digest()
    return FIRST_GOLD + int.from_bytes(digest[:8], "big") % _GOLD_NUMBERS
