"""The keys of the label page. No key does two things."""

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, str]] = {
    "m": "mixed",
    "i": "invalid",
    "c": "cannot_tell",
    "s": "skip",
    "u": "undo",
    "n": "note",
    "h": "help",
}
"""Key -> its command. Classes have other keys."""

CLASS_KEYS: Final = "0123456789" + "".join(c for c in "abcdefghijklmnopqrstuvwxyz" if c not in COMMANDS)
"""The keys of the first classes, in the order of the labels."""

SEARCH_KEY: Final = "/"
"""If there are more classes than keys, this key starts the search for a class. So do digits and letters."""


def class_keys(class_count: int) -> list[str]:
    """Return the key of each class, or empty texts if there are more classes than keys."""
    if class_count > len(CLASS_KEYS):
        return [""] * class_count
    return list(CLASS_KEYS[:class_count])
