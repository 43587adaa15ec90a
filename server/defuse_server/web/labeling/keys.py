"""Which key gives which answer; no key does two things."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "m": "mixed",
        "i": "invalid",
        "c": "cannot_tell",
        "s": "skip",
        "u": "undo",
        "n": "note",
        "e": "examples",
        "h": "help",
    }
)
"""Key -> what it does, beside the keys of the classes."""

CLASS_KEYS: Final = "0123456789" + "".join(c for c in "abcdefghijklmnopqrstuvwxyz" if c not in COMMANDS)
"""The keys of the first classes, in the order of the labels."""

SEARCH_KEY: Final = "/"
"""Where there are more classes than keys it starts the search for one; so do the digits and free letters."""


def class_keys(class_count: int) -> list[str]:
    """The key of each class; empty texts where they are too many, and are searched for by name or number."""
    if class_count > len(CLASS_KEYS):
        return [""] * class_count
    return list(CLASS_KEYS[:class_count])
