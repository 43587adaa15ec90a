"""The last word on what a search has chosen, before people see it: that of held-out readers.

What was chosen because the readers see the seed's label in it pleases them more than they are right. So
networks that had no part in the search look once more, in the same two ways. What does not convince them is
dropped, and the probability of the rest is stated anew with what they say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32
from sklearn.linear_model import LogisticRegression

from defuse_engine.models.onnx_model import Decoder
from defuse_engine.search.log_odds import log_odds
from defuse_engine.search.thresholds import LEAST_READING
from defuse_engine.search.two_looks import Looks
from defuse_engine.types import Images, Misclassifications

_BATCH = 1 << 11


@dataclass(frozen=True)
class LastWord:
    """Held-out readers, and how far they can be trusted."""

    decoder: Decoder
    look: Callable[[Images], Looks]
    """The held-out readers' two looks."""
    model: LogisticRegression | None
    """Probability of a bug by the belief so far and by what held-out readers give the predicted class; None
    if there were too few known bugs."""
    least_probability: float
    """Of being a bug."""
    typical_reading: float
    """Median probability that held-out readers give the own label of an item that is classified correctly."""

    def __call__(self, found: Misclassifications) -> Misclassifications:
        """Return those that convince, each with its probability stated anew."""
        parts = [np.arange(len(found))[start : start + _BATCH] for start in range(0, len(found), _BATCH)]
        told = [self._told(found[part]) for part in parts]
        if not told:
            return found
        probability, convinced = (np.concatenate(both) for both in zip(*told, strict=True))
        return replace(found, bug_probability=probability)[np.flatnonzero(convinced)]

    def _told(self, found: Misclassifications) -> tuple[Float32[np.ndarray, " n"], np.ndarray]:
        looks, rows = self.look(self.decoder(found.codes)), np.arange(len(found))
        seen = looks.most[rows, found.predicted_class]
        probability = stated(self.model, found.bug_probability, seen)
        own = looks.least[rows, found.seed_label]
        convinced = (own >= LEAST_READING * self.typical_reading) & (probability >= self.least_probability)
        return probability, convinced


def evidence(
    believed: Float32[np.ndarray, " n"], seen: Float32[np.ndarray, " n"]
) -> Float32[np.ndarray, "n 2"]:
    """Log-odds of the belief so far, and of the predicted class to held-out readers."""
    return np.stack([log_odds(believed), log_odds(seen)], axis=1)


def stated(
    model: LogisticRegression | None,
    believed: Float32[np.ndarray, " n"],
    seen: Float32[np.ndarray, " n"],
) -> Float32[np.ndarray, " n"]:
    """Return the probability of being a bug; without a model, what the more careful of both sources says."""
    if model is None:
        return np.minimum(believed, 1.0 - seen)
    return model.predict_proba(evidence(believed, seen))[:, 1].astype(np.float32)
