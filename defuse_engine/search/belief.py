"""How likely a misclassification is a real bug: evidence of the dataset, calibrated where the truth is known.

Two readings of a candidate's input know nothing of the seed that it came from. It is encoded again: where it
comes to lie, and whose train codes are near. And a witness, small classifiers of our own, looks at it. How
far these readings and the classifier's own confidence can be trusted is learned from validation items: they
are sent through the VAE like candidates, and their labels are known.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from defuse_engine.inputs.dataset import Split
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.models.onnx_model import Classifier, Decoder, Encoder
from defuse_engine.search.neighbours import Neighbours
from defuse_engine.search.readers import Witness
from defuse_engine.types import Images, Labels

_MOST_ITEMS = 10_000
_LEAST_OF_EACH = 10
"""Bugs, and items that are none, that a calibration needs at least."""
_FOLDS = 5
_BINS = 10
_LEAST_ODDS = 1e-3
_REACH_UNCALIBRATED = 0.999


@dataclass(frozen=True)
class Calibration:
    """How far the probability can be trusted, cross-validated on validation items."""

    items: int
    """0: too few bugs among them; the probability is then one minus the larger of what neighbours and witness
    give the predicted class."""
    bug_share: float
    expected_calibration_error: float
    """Mean gap of probability and truth over ten bins of equal count."""
    brier_score: float

    def to_json(self) -> dict[str, Any]:
        """Return the object of `result.json`."""
        return asdict(self)


@dataclass(frozen=True)
class Evidence:
    """What the judge says of some candidates; row i of every array is the same candidate."""

    bug_probability: Float32[np.ndarray, " n"]
    """That the input does not show the predicted class."""
    agreement: Float32[np.ndarray, " n"]
    """Share of the neighbours of the code, encoded again, that bear the seed's label."""
    reading: Labels
    """What the witness sees."""
    seed_probability: Float32[np.ndarray, " n"]
    """That the witness gives the seed's label."""


class Judge:
    """Gives each misclassification its probability of being a bug."""

    def __init__(self, encoder: Encoder, decoder: Decoder, neighbours: Neighbours, witness: Witness):
        """A judge that is not calibrated yet."""
        self._encoder, self._decoder = encoder, decoder
        self._neighbours, self.witness = neighbours, witness
        self._model: LogisticRegression | None = None
        self.calibration = Calibration(0, 0.0, 0.0, 0.0)
        self.typical_agreement = 1.0
        """Median share of an item's neighbours that bear its own label, of items classified correctly."""
        self.typical_reading = 1.0
        """Median probability that the witness gives an item's own label, of items classified correctly."""

    @property
    def reach(self) -> float:
        """The largest probability that a candidate of even odds can get: nobody reads its class."""
        if self._model is None:
            return _REACH_UNCALIBRATED
        nothing = np.zeros(1, np.float32)
        features = _features(nothing, nothing, np.full(1, 0.5, np.float32), self._neighbours.count)
        return float(self._model.predict_proba(features)[0, 1])

    def calibrate(self, split: Split, classifier: Classifier, rng: np.random.Generator) -> None:
        """Learns from items with known labels, which the neighbours must not hold (the validation split)."""
        sample = np.sort(rng.permutation(len(split))[:_MOST_ITEMS])
        labels = split.labels[sample]
        decoded = [
            self._decoder(self._encoder(images))
            for _, images in split.batches(sample, self._encoder.session.chunk_size)
        ]
        images = np.concatenate(decoded)
        probabilities = classifier.probabilities(torch.from_numpy(classifier(images))).numpy()
        codes = self._encoder(images)
        told = finite_items(images) & finite_items(probabilities) & finite_items(codes)
        images, labels, probabilities, codes = (some[told] for some in (images, labels, probabilities, codes))
        predicted = probabilities.argmax(axis=1)
        confidence = probabilities.max(axis=1)
        votes = self._neighbours.labels_near(codes)
        witnessed, rows = self.witness.probabilities(images), np.arange(len(images))
        seen = witnessed[rows, predicted]
        share = (votes == predicted[:, None]).mean(axis=1)
        features, bugs = _features(share, seen, confidence, votes.shape[1]), labels != predicted
        if not bugs.all():
            self.typical_agreement = float(np.median((votes == labels[:, None]).mean(axis=1)[~bugs]))
            self.typical_reading = float(np.median(witnessed[rows, labels][~bugs]))
        if min(bugs.sum(), (~bugs).sum()) < _LEAST_OF_EACH:
            return
        self._model = _fit(features, bugs)
        self.calibration = _cross_validated(features, bugs)

    def __call__(
        self,
        images: Images,
        seed_labels: Labels,
        predicted: Labels,
        confidence: Float32[np.ndarray, " n"],
        least: float = 0.0,
    ) -> Evidence:
        """Judges decoded candidates that are classified as `predicted` with probability `confidence`.

        Of those that can't reach a probability of `least`, whatever the neighbours say, no neighbours are
        asked: their probability is the highest that they could have, below `least`, their agreement 0.
        Where the image, its code or the confidence is not finite, nothing is believed: all is 0.
        """
        told = finite_items(images) & np.isfinite(confidence)
        if told.all():
            return self._judged(images, seed_labels, predicted, confidence, least)
        judged = self._judged(images[told], seed_labels[told], predicted[told], confidence[told], least)
        evidence = Evidence(*(np.zeros(len(images), values.dtype) for values in vars(judged).values()))
        for name, values in vars(judged).items():
            getattr(evidence, name)[told] = values
        return evidence

    def _judged(
        self,
        images: Images,
        seed_labels: Labels,
        predicted: Labels,
        confidence: Float32[np.ndarray, " n"],
        least: float,
    ) -> Evidence:
        if len(images) == 0:
            nothing = np.zeros(0, np.float32)
            return Evidence(nothing, nothing, np.zeros(0, np.int64), nothing)
        witnessed, rows = self.witness.probabilities(images), np.arange(len(images))
        seen, nobody = witnessed[rows, predicted], np.zeros(len(images), np.float32)
        # Monotone in the share of neighbours, and in theory it may rise with it.
        probability = np.maximum(
            self._probability(nobody, seen, confidence), self._probability(nobody + 1, seen, confidence)
        )
        asked = np.flatnonzero(probability >= least)
        agreement = nobody
        if len(asked):
            codes = self._encoder(images[asked])
            told = finite_items(codes)
            probability[asked[~told]] = 0.0
            asked = asked[told]
            votes = self._neighbours.labels_near(codes[told])
            share = (votes == predicted[asked, None]).mean(axis=1)
            probability[asked] = self._probability(share, seen[asked], confidence[asked])
            agreement[asked] = (votes == seed_labels[asked, None]).mean(axis=1)
        return Evidence(probability, agreement, witnessed.argmax(axis=1), witnessed[rows, seed_labels])

    def _probability(
        self,
        share: Float[np.ndarray, " n"],
        seen: Float32[np.ndarray, " n"],
        confidence: Float32[np.ndarray, " n"],
    ) -> Float32[np.ndarray, " n"]:
        """Of being a bug, where this share of the neighbours bears the predicted class."""
        if self._model is None:
            return (1.0 - np.maximum(share, seen)).astype(np.float32)
        features = _features(share, seen, confidence, self._neighbours.count)
        return self._model.predict_proba(features)[:, 1].astype(np.float32)


def _features(
    share: Float[np.ndarray, " n"],
    seen: Float32[np.ndarray, " n"],
    confidence: Float32[np.ndarray, " n"],
    neighbours: int,
) -> Float64[np.ndarray, "n 3"]:
    """Log-odds of the predicted class: by its share of neighbours, by the witness and by the classifier."""
    votes = share * neighbours
    # Outputs that were declared as probabilities and are none pass the preflight with a warning.
    own = confidence.astype(np.float64).clip(0.0, 1.0)
    return np.stack(
        [np.log((votes + 0.5) / (neighbours - votes + 0.5)), _log_odds(seen), _log_odds(own)], axis=1
    )


def _log_odds(probability: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.log((probability + _LEAST_ODDS) / (1.0 - probability + _LEAST_ODDS))


def _fit(features: Float64[np.ndarray, "n 3"], bugs: Bool[np.ndarray, " n"]) -> LogisticRegression:
    return LogisticRegression(max_iter=1000).fit(features, bugs)


def _cross_validated(features: Float64[np.ndarray, "n 3"], bugs: Bool[np.ndarray, " n"]) -> Calibration:
    probability = np.empty(len(bugs))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    for train, held_out in folds.split(features, bugs):
        probability[held_out] = _fit(features[train], bugs[train]).predict_proba(features[held_out])[:, 1]
    return Calibration(
        items=len(bugs),
        bug_share=float(bugs.mean()),
        expected_calibration_error=expected_calibration_error(probability, bugs),
        brier_score=float(np.mean((probability - bugs) ** 2)),
    )


def expected_calibration_error(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean gap between mean probability and share of truth, over ten bins of equal count, in [0, 1].

    M. P. Naeini, G. F. Cooper, M. Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning,
    2015; bins of equal count do not leave the rare confident ones to chance.
    """
    bins = [rows for rows in np.array_split(np.argsort(probability, kind="stable"), _BINS) if len(rows)]
    return float(np.mean([abs(probability[rows].mean() - truth[rows].mean()) for rows in bins]))
