"""Annotators' answers, as the votes that the scripts count and as a task keeps them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict

from defuse_server.errors import InvalidRequest, LabelUnknown

CANNOT_TELL: Final = "cannot_tell"
_VERDICTS = {
    LabelVerdict.LABEL_VERDICT_MIXED: "mixed",
    LabelVerdict.LABEL_VERDICT_INVALID: "invalid",
    LabelVerdict.LABEL_VERDICT_CANNOT_TELL: CANNOT_TELL,
}


@dataclass(frozen=True)
class KeptAnswer:
    """An answer that counts. Times are Redis times in ms; `lease_ms` is 0 for an imported answer."""

    annotator: str
    vote: str
    note: str
    lease_ms: int
    time_ms: int

    @property
    def abstains(self) -> bool:
        """Tell whether the answer is no vote."""
        return self.vote == CANNOT_TELL


@dataclass(frozen=True)
class KeptSkip:
    """A task that an annotator gave back for good."""

    annotator: str
    reason: str
    time_ms: int


@dataclass(frozen=True)
class KeptTask:
    """A task with all its answers.

    `gold` is the known vote of a gold task, and None for others. `expected` is the vote that the search
    believes in, and None for a region's task.
    """

    number: int
    version: int
    wanted: int
    limit: int
    gold: str | None
    expected: str | None
    answers: tuple[KeptAnswer, ...]
    skips: tuple[KeptSkip, ...]

    @classmethod
    def from_json(cls, number: int, text: bytes) -> "KeptTask":
        """Read a task as labels/tasks.lua writes it."""
        task: Mapping[str, Any] = json.loads(text)
        # Lua writes an empty list as {}.
        return cls(
            number=number,
            version=task["version"],
            wanted=task["wanted"],
            limit=task["limit"],
            gold=task.get("gold"),
            expected=task.get("expected"),
            answers=tuple(
                KeptAnswer(a["annotator"], a["vote"], a["note"], int(a["lease_ms"]), int(a["time_ms"]))
                for a in task["answers"]
            ),
            skips=tuple(KeptSkip(s["annotator"], s["reason"], int(s["time_ms"])) for s in task["skips"]),
        )


def vote_of(answer: LabelAnswer, class_count: int) -> str:
    """Return the vote: a class as a decimal number, `mixed`, `invalid` or `cannot_tell`.

    Raises `InvalidRequest` if the answer is empty, `LabelUnknown` if the label is not in 0..class_count-1.
    """
    if answer.WhichOneof("answer") == "label":
        if not 0 <= answer.label < class_count:
            raise LabelUnknown(
                f"expected a label in 0..{class_count - 1}, got {answer.label}",
                figures={"label": str(answer.label), "class_count": str(class_count)},
            )
        return str(answer.label)
    if answer.verdict not in _VERDICTS:
        raise InvalidRequest(
            [("answer", "expected a label, or one of the verdicts MIXED, INVALID, CANNOT_TELL")]
        )
    return _VERDICTS[answer.verdict]
