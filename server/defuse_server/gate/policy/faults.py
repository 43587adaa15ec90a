"""Collects the faults in a policy's text."""

from difflib import get_close_matches
from typing import Any, Final

from defuse_server.errors import PolicyInvalid

MOST: Final = 50
"""Most faults in one answer."""


class Faults:
    """Collects faults, so that one answer names all of them."""

    def __init__(self) -> None:
        self._found: list[tuple[int, int, str]] = []

    def add(self, mark: Any, description: str) -> None:
        """Add a fault at a mark of PyYAML, which counts lines and columns from 0."""
        self.add_at(mark.line + 1, mark.column + 1, description)

    def add_at(self, line: int, column: int, description: str) -> None:
        """Add a fault at a place counted from 1."""
        self._found.append((line, column, description))

    def check(self) -> None:
        """Raise `PolicyInvalid` if a fault was found."""
        if self._found:
            raise PolicyInvalid(sorted(self._found)[:MOST])


def unknown(kind: str, name: str, known: list[str]) -> str:
    """Return a message about an unknown name, with the known name that is closest."""
    shown = name if len(name) <= 60 else name[:57] + "..."
    nearest = get_close_matches(name[:60], known, n=1)
    meant = f"did you mean {nearest[0]}?" if nearest else f"expected one of {', '.join(known)}"
    return f"unknown {kind} {shown!r}: {meant}"
