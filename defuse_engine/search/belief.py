"""How likely a misclassification is a real bug: what every belief model answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from defuse_engine.run import Run
from defuse_engine.search.classify_codes import Candidates
from defuse_engine.search.last_word import LastWord
from defuse_engine.search.readers import Readers
from defuse_engine.search.thresholds import Thresholds
from defuse_engine.types import Described, Labels


@dataclass(frozen=True)
class Calibration(Described):
    """How far the probability can be trusted, cross-validated on validation items."""

    items: int
    """0 if there were too few bugs among them. The probability is then one minus the larger of what the
    neighbours and the readers give the predicted class."""
    bug_share: float
    expected_calibration_error: float
    """Mean gap of probability and truth over ten bins of equal count."""
    brier_score: float


@dataclass(frozen=True)
class Belief:
    """What a belief model says of some candidates; row i of every array is the same candidate."""

    bug_probability: Float32[np.ndarray, " n"]
    """That the input does not show the predicted class."""
    agreement: Float32[np.ndarray, " n"]
    """Share of the neighbours of the code, encoded again, that bear the seed's label."""
    reading: Labels
    """The class that the readers see, in both looks together."""
    seed_probability: Float32[np.ndarray, " n"]
    """That the readers give the seed's label, in the look that gives it less."""


@runtime_checkable
class BeliefModel(Protocol):
    """Says how likely each misclassification is a bug, and what is believed."""

    thresholds: Thresholds

    @property
    def readers(self) -> Readers | None:
        """None if it asks no network; then ascents have no guide, and are not made."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """None if the model has learned nothing."""
        ...

    def open_last_word(self, run: Run) -> LastWord | None:
        """Return what has the last word on what people will see; None if nobody has."""
        ...

    def __call__(self, candidates: Candidates, least: float = 0.0) -> Belief:
        """Assess candidates; a model may spend less on those that cannot reach a probability of `least`."""
        ...


class BelieveEverything:
    """The belief model of `preset: paper`: it asks nobody, and believes every misclassification."""

    readers: Readers | None = None
    thresholds = Thresholds()
    calibration: Calibration | None = None

    def open_last_word(self, run: Run) -> LastWord | None:
        """Return None: nobody is asked."""
        return None

    def __call__(self, candidates: Candidates, least: float = 0.0) -> Belief:
        """Return a probability of 0, the seed labels as the reading, and NaN for what was not asked."""
        # NaN compares as false: it is below no threshold.
        unasked = np.full(len(candidates), np.nan, np.float32)
        return Belief(np.zeros_like(unasked), unasked, candidates.seed_labels, unasked)
