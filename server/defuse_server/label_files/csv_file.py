"""CSV for spreadsheets: one row for each task, with columns for the answer."""

import csv
import io
from typing import Final

from defuse_server.errors import ImportUnreadable, TooLarge
from defuse_server.label_files.answer_words import Choices
from defuse_server.label_files.file_answers import Answers, FileAnswer
from defuse_server.label_files.fingerprint import fingerprint
from defuse_server.labels.task_contents import Shown

FILE_BYTES: Final = 16 * 1024 * 1024
"""Largest CSV file that an import takes."""
COLUMNS = ("region", "fingerprint", "image", "samples", "choices", "annotator", "label", "note")
_NEEDED = ("region", "fingerprint", "annotator", "label")
# Spreadsheets run cells with these starts as formulas.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def header() -> str:
    """Return the first row."""
    return _row(COLUMNS)


def task(shown: Shown, image: str, choices: Choices) -> str:
    """Return a task's row, with empty cells for the answer."""
    words = " | ".join(choices.words)
    return _row([shown.name, fingerprint(shown), image, str(shown.sheet.count), words, "", "", ""])


def _row(cells: list[str] | tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([escaped(cell) for cell in cells])
    return text.getvalue()


def escaped(cell: str) -> str:
    """Return the cell in a form that no spreadsheet reads as a formula."""
    return "'" + cell if cell.startswith(_FORMULA) else cell


def unescaped(cell: str) -> str:
    """Return the cell as it was before it was escaped."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


class CsvReader:
    """Reads a table of answers. `annotator` is the annotator of rows that name none."""

    def __init__(self, annotator: str) -> None:
        self._annotator = annotator
        self._data = bytearray()
        self._answers = Answers()

    def feed(self, data: bytes) -> None:
        """Read the next bytes. Raises `TooLarge`."""
        self._data += data
        if len(self._data) > FILE_BYTES:
            raise TooLarge(f"expected at most {FILE_BYTES} bytes of CSV, got more: import it in parts")

    def finish(self) -> Answers:
        """Return the answers. Raises `ImportUnreadable`, `TooLarge`."""
        rows = csv.reader(io.StringIO(self._text(), newline=""), delimiter=self._delimiter(), strict=True)
        number = 1
        try:
            columns = _columns(next(rows, []))
            # Rows are counted as a spreadsheet shows them: a note may contain line breaks.
            for number, cells in enumerate(rows, start=2):
                self._read(number, columns, cells)
        except csv.Error as error:
            raise ImportUnreadable(f"row {number + 1} is not CSV: {error}") from None
        return self._answers

    def _text(self) -> str:
        try:
            return self._data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ImportUnreadable(
                "expected CSV in UTF-8 (save it as `CSV UTF-8`), got other bytes"
            ) from None

    def _delimiter(self) -> str:
        """Return the separator of the header's cells, which depends on the user's language."""
        first = self._text().partition("\n")[0]
        return max(",;\t", key=first.count)

    def _read(self, number: int, columns: dict[str, int], cells: list[str]) -> None:
        def cell(column: str) -> str:
            position = columns.get(column, len(cells))
            return unescaped(cells[position].strip()) if position < len(cells) else ""

        if not cell("label"):
            self._answers.pass_over()
            return
        annotator, region = cell("annotator") or self._annotator, cell("region")
        # A row has no id of its own: one annotator gives one answer to one region.
        annotation = f"csv/{region}/{annotator}"
        self._answers.add(
            FileAnswer(
                number, annotation, region, cell("fingerprint"), annotator, cell("label"), cell("note")
            )
        )


def _columns(names: list[str]) -> dict[str, int]:
    columns = {name.strip().lower(): position for position, name in enumerate(names)}
    if "annotation_id" in columns:
        # Its annotators have other names than in the JSON, and both would count.
        raise ImportUnreadable("expected a filled-in export, got Label Studio's CSV: export it as JSON")
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise ImportUnreadable(
            f"row 1: expected the columns {', '.join(_NEEDED)}, got none named {', '.join(missing)}"
        )
    return columns
