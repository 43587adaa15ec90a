"""Saturation: whether a search still finds anything new, and the rule that ends it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from defuse_engine.configs import LEAST_CODES
from defuse_engine.types import Chunk, Described

_RADIUS = 0.5
"""Radius of a group, over the standard deviation of the train codes."""
_MOST_GROUPS = 1_000
"""Most groups of one seed label and predicted class: they must not make each misclassification slower."""


@dataclass(frozen=True)
class SaturationPoint(Described):
    """The state of a search after a shard."""

    candidates: int
    misclassifications: int
    regions: int
    """Groups in sight."""


class Saturation:
    """Counts groups as shards come in, in their order.

    A group is a set of misclassifications with one seed label and one predicted class, within half a standard
    deviation of the train codes of its first one. It comes into sight with its tenth. After the first
    thousand groups of its labels, a misclassification goes to the nearest one. Regions take a mixture over
    everything that was found; groups are a cheap estimate of them while the search goes on.
    """

    def __init__(self, spread: Float32[np.ndarray, " d"]):
        """`spread` is the standard deviation of the train codes in each coordinate."""
        # In a coordinate that never varies all places are the same, whatever the unit.
        self._spread = np.where(spread > 0.0, spread, np.float32(1.0))
        self._leaders: dict[tuple[int, int], np.ndarray] = {}
        self._sizes: Counter[tuple[int, int, int]] = Counter()
        self._shards_without = 0
        self.curve: list[SaturationPoint] = []

    def add(self, chunk: Chunk) -> None:
        """Take in the next shard."""
        before = self.curve[-1] if self.curve else SaturationPoint(0, 0, 0)
        found = chunk.misclassifications
        places = found.codes / (self._spread * _RADIUS * len(self._spread) ** 0.5)
        for place, label, predicted in zip(places, found.seed_label, found.predicted_class, strict=True):
            self._sizes[self._group(place, int(label), int(predicted))] += 1
        regions = sum(size >= LEAST_CODES for size in self._sizes.values())
        self._shards_without = 0 if regions > before.regions else self._shards_without + 1
        self.curve.append(
            SaturationPoint(
                before.candidates + chunk.candidates, before.misclassifications + len(found), regions
            )
        )

    def over(self, patience_shards: int) -> bool:
        """Whether so many shards in a row brought nothing new into sight; never if that is -1."""
        return 0 < patience_shards <= self._shards_without

    def _group(self, place: np.ndarray, label: int, predicted: int) -> tuple[int, int, int]:
        leaders = self._leaders.get((label, predicted), np.zeros((0, len(place)), np.float32))
        if len(leaders):
            distances = np.linalg.norm(leaders - place, axis=1)
            nearest = int(distances.argmin())
            if distances[nearest] <= 1.0 or len(leaders) == _MOST_GROUPS:
                return label, predicted, nearest
        self._leaders[label, predicted] = np.concatenate([leaders, place[None]])
        return label, predicted, len(leaders)
