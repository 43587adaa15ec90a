"""The service's labeling of an audit's bugs, with its own functions and without its storage."""

from __future__ import annotations

from typing import Any

from defuse.v1.audit_service_pb2 import (
    REGION_STATE_LABELED,
    REGION_STATE_MIXED,
    Audit,
    Bug,
)
from defuse.v1.models_pb2 import Interval
from defuse_server.labels.asking_order import asking_order
from defuse_server.labels.bug_labels import region_labels
from defuse_server.labels.proposals import Proposals, number_of, proposals
from defuse_server.labels.region_label import RegionLabel
from defuse_server.names import FIRST_BUG, bug_name, region_name

from bench._answers import Answer

_AUDIT = Audit(name=f"audits/{0:018d}")


class Labeling:
    """Which bug is asked about next, and which regions have a label by now."""

    def __init__(self, bugs: list[dict[str, Any]]):
        """Take the bugs of an audit's result."""
        self._bugs = [
            Bug(
                name=bug_name(_AUDIT.name, number),
                cells=[region_name(_AUDIT.name, cell) for cell in bug["cells"]],
                shown_cells=[region_name(_AUDIT.name, cell) for cell in bug["shown_cells"]],
                seed_label=bug["seed_label"],
                predicted_class=bug["predicted_class"],
                label_probability=bug["label_probability"],
                harm=Interval(value=bug["harm"]["value"]),
            )
            for number, bug in enumerate(bugs)
        ]
        self._tasks: dict[int, RegionLabel] = {}

    def order(self) -> list[int]:
        """Return the numbers of the bugs that want an answer, the next in front."""
        return [number_of(bug) for bug in asking_order(self._bugs, self._tasks, self._proposals())]

    def decide(self, bug: int, label: Answer, answers: int) -> None:
        """Take the label that so many answers gave to a bug; None is mixed."""
        state = REGION_STATE_MIXED if label is None else REGION_STATE_LABELED
        self._tasks[FIRST_BUG + bug] = RegionLabel(state, label, answers, answers)

    def labels(self) -> dict[int, int]:
        """Return the labels of regions, by people's answers and by proposals that these verify."""
        found = {**region_labels(self._tasks, self._bugs), **self._proposals().labels()}
        return {region: label.label for region, label in found.items() if label.label is not None}

    def _proposals(self) -> Proposals:
        return proposals(_AUDIT, self._bugs, self._tasks)
