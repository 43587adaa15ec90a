"""What is wrong with a policy's text, line by line."""

from difflib import get_close_matches
from typing import Any, Final

from defuse_server.errors import PolicyInvalid

MOST: Final = 50
"""Faults that one answer names: who has more has sent another file."""


class Faults:
    """Collects faults, so that one answer names all of them."""

    def __init__(self) -> None:
        self._found: list[tuple[int, int, str]] = []

    def add(self, mark: Any, description: str) -> None:
        """Note what is wrong at a mark of PyYAML's, which counts lines and columns from 0."""
        self.add_at(mark.line + 1, mark.column + 1, description)

    def add_at(self, line: int, column: int, description: str) -> None:
        """Note what is wrong at a place counted from 1."""
        self._found.append((line, column, description))

    def check(self) -> None:
        """Raise PolicyInvalid where something was noted."""
        if self._found:
            raise PolicyInvalid(sorted(self._found)[:MOST])


def unknown(kind: str, name: str, known: list[str]) -> str:
    """Say that a name is not known, and which it may have been meant for."""
    shown = name if len(name) <= 60 else name[:57] + "..."
    nearest = get_close_matches(name[:60], known, n=1)
    meant = f"did you mean {nearest[0]}?" if nearest else f"expected one of {', '.join(known)}"
    return f"unknown {kind} {shown!r}: {meant}"
