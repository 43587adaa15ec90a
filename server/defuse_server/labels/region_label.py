"""The labeling state of regions, as the label scripts keep it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from defuse.v1.audit_service_pb2 import RegionState


@dataclass(frozen=True)
class RegionLabel:
    """The labeling state of a region. `label` is the agreed class if the state is LABELED.

    `agreement` is the share of votes for the consensus, or without one for the most frequent answer.
    """

    state: RegionState
    label: int | None
    answers: int
    wanted: int
    agreement: float = 0.0

    def confirms(self, predicted_class: int) -> bool:
        """Tell whether the label says that the classifier's prediction is a bug."""
        return self.label is not None and self.label != predicted_class


OPEN_STATES = (RegionState.REGION_STATE_UNLABELED, RegionState.REGION_STATE_LEASED)
"""States of regions that want answers."""

NOT_OPENED = RegionLabel(RegionState.REGION_STATE_UNLABELED, None, 0, 0)
"""State of a region that is published and not yet open to annotators."""


def read_states(reply: Sequence[bytes]) -> dict[int, RegionLabel]:
    """Read what states.lua returns."""
    labels: dict[int, RegionLabel] = {}
    for number, text in zip(reply[::2], reply[1::2], strict=True):
        state, answers, wanted, label, agreeing, votes = text.decode().split(":")
        labels[int(number)] = RegionLabel(
            state=cast("RegionState", int(state)),
            label=int(label) if label else None,
            answers=int(answers),
            wanted=int(wanted),
            agreement=int(agreeing) / int(votes) if int(votes) else 0.0,
        )
    return labels
