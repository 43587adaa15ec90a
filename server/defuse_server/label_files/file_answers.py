"""The answers of a file, before they are counted."""

from dataclasses import dataclass, field
from typing import Final

from defuse.v1.label_service_pb2 import ImportProblem, ImportProblemReason

from defuse_server.errors import TooLarge
from defuse_server.validation import ANNOTATOR_CHARACTERS, NOTE_CHARACTERS

ENTRIES: Final = 100_000
"""Most entries in a file: answers, and tasks without an answer."""
KEPT_CHARACTERS: Final = 32 * 1024 * 1024
"""Most characters of answers in a file."""
_FIELD_CHARACTERS: Final = 300


@dataclass(frozen=True)
class FileAnswer:
    """One annotator's answer to one region, as it is in the file."""

    row: int
    annotation: str
    """Id by which the answer is recognised if the file is imported again."""
    region: str
    fingerprint: str
    annotator: str
    word: str
    note: str

    def fault(self) -> str:
        """Return the fault of the first field that can't be used, or an empty text."""
        if not self.annotator:
            return "expected an annotator, got none"
        if len(self.annotator) > ANNOTATOR_CHARACTERS or not self.annotator.isprintable():
            return f"expected an annotator of at most {ANNOTATOR_CHARACTERS} printable characters"
        if len(self.note) > NOTE_CHARACTERS:
            return f"expected a note of at most {NOTE_CHARACTERS} characters, got {len(self.note)}"
        if not _is_printable(self.note):
            return "expected a note of printable characters, got control characters"
        names = (self.annotation, self.region, self.fingerprint, self.word)
        if not all(len(name) <= _FIELD_CHARACTERS and _is_printable(name) for name in names):
            return f"expected at most {_FIELD_CHARACTERS} printable characters in id, region and label"
        return ""

    def problem(self, reason: ImportProblemReason, message: str) -> ImportProblem:
        """Return the problem because of which the answer is not counted."""
        return ImportProblem(
            row=self.row,
            region=_sendable(self.region[:_FIELD_CHARACTERS]),
            annotator=_sendable(self.annotator[:ANNOTATOR_CHARACTERS]),
            reason=reason,
            message=_sendable(message[:_FIELD_CHARACTERS]),
        )


def _is_printable(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)


def _sendable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can hold and UTF-8 can't."""
    return text.encode("utf-8", "replace").decode()


@dataclass
class Answers:
    """The answers and problems of a file. Its methods raise `TooLarge` beyond the limits of an import."""

    found: list[FileAnswer] = field(default_factory=list[FileAnswer])
    problems: list[ImportProblem] = field(default_factory=list[ImportProblem])
    unanswered: int = 0
    _characters: int = 0

    def add(self, answer: FileAnswer) -> None:
        """Keep an answer, or the problem with it."""
        if fault := answer.fault():
            self.malformed(answer.row, fault, answer.region, answer.annotator)
            return
        self._count(len(answer.note) + len(answer.word) + len(answer.region) + len(answer.annotation))
        self.found.append(answer)

    def malformed(self, row: int, message: str, region: str = "", annotator: str = "") -> None:
        """Add a problem for a task or row that can't be read."""
        self._count(len(message))
        problem = FileAnswer(row, "", region, "", annotator, "", "").problem(
            ImportProblemReason.IMPORT_PROBLEM_REASON_MALFORMED, message
        )
        self.problems.append(problem)

    def pass_over(self) -> None:
        """Count a task or row without an answer."""
        self.unanswered += 1
        self._count(0)

    def _count(self, characters: int) -> None:
        self._characters += characters
        entries = len(self.found) + len(self.problems) + self.unanswered
        if entries >= ENTRIES or self._characters > KEPT_CHARACTERS:
            raise TooLarge(
                f"expected at most {ENTRIES} answers with {KEPT_CHARACTERS} characters in a file, got more: "
                "import it in parts"
            )
