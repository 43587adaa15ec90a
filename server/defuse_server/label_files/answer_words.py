"""What an annotator may answer, in words: others' tools show them, and files name them."""

from collections.abc import Iterable, Sequence
from typing import cast

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.registry_service_pb2 import Dataset

from defuse_server.backend import Backend

_VERDICT_WORDS = {"mixed": "mixed", "invalid": "not a valid input", "cannot_tell": "can't tell"}
_OTHER_WORDS = {"invalid": "invalid", "cannot_tell": "cannot_tell", "cannot tell": "cannot_tell"}


class Choices:
    """The words for all votes of an audit, each of its own: the classes in their order, then the verdicts."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_count = len(class_names)
        self._votes: dict[str, str] = {}
        for label, name in enumerate(class_names):
            self._add(name, str(label), f" (class {label})")
        # After the classes: a class that is called like a verdict keeps its name.
        for vote, word in _VERDICT_WORDS.items():
            self._add(word, vote, " (no class)")

    @property
    def words(self) -> list[str]:
        """The words, as they are shown."""
        return list(self._votes)

    def word(self, vote: str) -> str:
        """Return the word for a vote: a class as decimal number, `mixed`, `invalid` or `cannot_tell`."""
        return next(word for word, known in self._votes.items() if known == vote)

    def vote(self, word: str) -> str | None:
        """Return the vote that a word stands for, or a class's number; None where it is neither.

        Names go before numbers: classes of digits may be named by numbers that are not their labels.
        """
        # Spreadsheets make a typographic apostrophe of a plain one.
        word = _plain(word).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        if word in self._votes:
            return self._votes[word]
        alike = {vote for known, vote in self._votes.items() if known.casefold() == word.casefold()}
        if len(alike) == 1:
            return alike.pop()
        if word.isascii() and word.isdecimal() and len(word) < 10 and int(word) < self.class_count:
            return str(int(word))
        return _OTHER_WORDS.get(word.casefold())

    def _add(self, word: str, vote: str, distinction: str) -> None:
        word = _plain(word)
        while word in self._votes:
            word += distinction
        self._votes[word] = vote


async def choices_of(backend: Backend, audit: str) -> Choices:
    """Return what may be answered in an audit; raises NotFound (the audit)."""
    record = cast("Audit", await backend.resources.get(audit))
    return Choices(cast("Dataset", await backend.resources.get(record.dataset)).class_names)


def _plain(word: str) -> str:
    """One line, one space between words: what survives any tool."""
    return " ".join(word.split())


def listed(words: Iterable[str], most: int = 12) -> str:
    """Return words for a message, not more than a reader takes in."""
    words = list(words)
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown}, ... ({len(words)} in all)"
