"""The remarks of annotators: notes with answers, and reasons for skips."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from defuse_server.labels.answers import KeptTask
from defuse_server.names import FIRST_BUG
from defuse_server.presentation.formatting import class_name

REMARKS_SHOWN: Final = 100


@dataclass(frozen=True)
class Remark:
    """A remark with its answer. `about` names a bug or region (`bug-3`, `region-7`); None: a gold task."""

    about: str | None
    annotator: str
    said: str
    text: str
    time_ms: int


def remarks(tasks: Sequence[KeptTask], class_names: Sequence[str]) -> list[Remark]:
    """Return the latest remarks, the newest first."""
    found = (remark for task in tasks for remark in _of(task, class_names))
    return sorted(found, key=lambda remark: -remark.time_ms)[:REMARKS_SHOWN]


def _of(task: KeptTask, class_names: Sequence[str]) -> Iterator[Remark]:
    kind, number = ("region", task.number) if task.number < FIRST_BUG else ("bug", task.number - FIRST_BUG)
    about = f"{kind}-{number}" if task.gold is None else None
    for answer in task.answers:
        if answer.note:
            said = (
                class_name(class_names, int(answer.vote))
                if answer.vote.isdigit()
                else answer.vote.replace("_", " ")
            )
            yield Remark(about, answer.annotator, said, answer.note, answer.time_ms)
    for skip in task.skips:
        yield Remark(about, skip.annotator, "skipped", skip.reason, skip.time_ms)
