"""The words for answers, which other tools show and files contain."""

from collections.abc import Iterable, Sequence

from defuse.v1.audit_service_pb2 import Audit

from defuse_server.backend import Backend
from defuse_server.labels.task_contents import class_names_of

_VERDICT_WORDS = {"mixed": "mixed", "invalid": "not a valid input", "cannot_tell": "can't tell"}
_OTHER_WORDS = {"invalid": "invalid", "cannot_tell": "cannot_tell", "cannot tell": "cannot_tell"}


class Choices:
    """A distinct word for each vote of an audit: first the classes in their order, then the others."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_count = len(class_names)
        self._votes: dict[str, str] = {}
        for label, name in enumerate(class_names):
            self._add(name, str(label), f" (class {label})")
        # After the classes: a class of the same name keeps its name.
        for vote, word in _VERDICT_WORDS.items():
            self._add(word, vote, " (no class)")

    @property
    def words(self) -> list[str]:
        """The words as they are shown."""
        return list(self._votes)

    def word(self, vote: str) -> str:
        """Return the word for a vote: a class as a decimal number, `mixed`, `invalid` or `cannot_tell`."""
        return next(word for word, known in self._votes.items() if known == vote)

    def vote(self, word: str) -> str | None:
        """Return the vote for a word or a class's number, or None.

        Names go before numbers: classes may be named by numbers that are not their labels.
        """
        # Spreadsheets turn a plain apostrophe into a typographic one.
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
    """Return the words for the answers in an audit. Raises `NotFound` (the audit)."""
    record = await backend.resources.fetch(Audit, audit)
    return Choices(await class_names_of(backend.resources, record))


def _plain(word: str) -> str:
    """Return one line with one space between words, which survives any tool."""
    return " ".join(word.split())


def listed(words: Iterable[str], most: int = 12) -> str:
    """Return words for a message, at most `most` of them."""
    words = list(words)
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown}, ... ({len(words)} in all)"
