"""The dialogue with one annotator in the terminal, region after region."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from defuse._enum_name import enum_name
from defuse.cli.leases import HeldLeases
from defuse.cli.output import stderr, write_json
from defuse.cli.terminal_picture import draw
from defuse.client import Client
from defuse.errors import FailedPrecondition, InvalidArgument, NotFound
from defuse.messages import LabelTask, RegionState

VERDICTS = {"m": "mixed", "i": "invalid", "?": "cannot_tell"}


@dataclass
class LabelSession:
    """The dialogue with one annotator, who is known by the token if `annotator` is empty."""

    client: Client
    leases: HeldLeases
    audit: str
    annotator: str
    lease_s: float
    folder: Path
    json: bool
    just_undone: bool = False
    has_leased: bool = False
    is_interrupted: bool = False
    answered: list[LabelTask] = field(default_factory=list[LabelTask])
    set_back: list[LabelTask] = field(default_factory=list[LabelTask])

    def run(self) -> None:
        """Ask about region after region until none is left or the annotator quits."""
        while (task := self._next()) is not None:
            try:
                if not self._ask(task):
                    return
            except (EOFError, KeyboardInterrupt) as end:
                self.is_interrupted = isinstance(end, KeyboardInterrupt)
                stderr.print()
                return
        stderr.print("There are no more regions for you.")

    def _next(self) -> LabelTask | None:
        if self.set_back and not self.just_undone:
            return self.set_back.pop()
        self.just_undone = False
        tasks = self._lease()
        if tasks:
            self.leases.hold(tasks[0])
            return tasks[0]
        return self.set_back.pop() if self.set_back else None

    def _lease(self) -> list[LabelTask]:
        try:
            # A session that was killed may hold some still.
            tasks = self.client.lease_tasks(
                self.audit, self.annotator, lease_s=self.lease_s, hand_back_held=not self.has_leased
            )
        except InvalidArgument as error:
            fields = [one.field for one in error.field_violations]
            if self.annotator or fields != ["annotator"]:
                raise
        else:
            self.has_leased = True
            return tasks
        # The server does not know who we are by a token of our own.
        self.annotator = getpass.getuser()
        return self._lease()

    def _ask(self, task: LabelTask) -> bool:
        self._show(task)
        while True:
            answer = stderr.input(
                "class, m mixed, i invalid, ? cannot tell, s [why] skip, u undo, q quit: "
            ).strip()
            parsed = parse_answer(answer, task.class_names)
            if answer == "q":
                return False
            if answer == "u":
                if self._undo():
                    self.set_back.append(task)
                    self.just_undone = True
                    return True
            elif parsed is not None and answer != "s":
                self._submit(task, parsed)
                return True
            elif answer.split(" ")[0] == "s":
                self._skip(task, answer[1:].strip())
                return True
            else:
                stderr.print(f"{answer!r} is none of the classes and none of the letters.", markup=False)

    def _show(self, task: LabelTask) -> None:
        sheet = self.folder / f"{task.region.replace('/', '-')}.png"
        self.client.download(task.sheet.artifact, sheet)
        stderr.print()
        draw(stderr, sheet)
        stderr.print(f"{task.region}: {task.sheet.count} samples in {sheet}", markup=False)
        names = "  ".join(f"{number} {name}" for number, name in enumerate(task.class_names))
        stderr.print(names, markup=False)

    def _submit(self, task: LabelTask, answer: int | str) -> None:
        try:
            result = self.client.submit_label(task, answer)
        except FailedPrecondition as error:
            stderr.print(f"Not counted: {error.message}", markup=False)
            self.leases.drop(task)
            return
        self.leases.drop(task)
        self.answered.append(task)
        if self.json:
            write_json({"region": task.region, "answer": answer, "state": RegionState.Name(result.state)})
        else:
            state = enum_name(RegionState, result.state)
            stderr.print(f"{state}, {result.answer_count} of {result.wanted_count} answers")

    def _skip(self, task: LabelTask, reason: str) -> None:
        """Leave a task to others; this annotator does not get it again."""
        self.leases.drop(task)
        try:
            self.client.skip_task(task, reason)
        except FailedPrecondition as error:
            stderr.print(f"Not skipped: {error.message}", markup=False)

    def _undo(self) -> bool:
        if not self.answered:
            stderr.print("There is nothing to undo.")
            return False
        task = self.answered[-1]
        try:
            self.client.undo_label(task.region, self.annotator)
        except (FailedPrecondition, NotFound) as error:
            stderr.print(f"Not undone: {error.message}", markup=False)
            return False
        self.answered.pop()
        stderr.print(f"Took back the answer to {task.region}.", markup=False)
        return True


def parse_answer(text: str, class_names: Sequence[str]) -> int | str | None:
    """Return a class's number, a verdict's name, or None. A class's name takes precedence over a letter."""
    names = [name.lower() for name in class_names]
    lowered = text.lower()
    # Names first: a class of digits may be named by a number that is not its label.
    if lowered in names:
        return names.index(lowered)
    if text in VERDICTS:
        return VERDICTS[text]
    return int(text) if text.isdecimal() and int(text) < len(names) else None
