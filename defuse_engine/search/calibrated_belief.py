"""Beliefs calibrated on the dataset, where the truth is known.

Two readings of a candidate's input know nothing of the seed that it came from. The input is encoded again:
the train codes near it have labels. And the readers, small networks of our own, look at it. How far these
readings and the classifier's own confidence can be trusted is learned from validation items: they are sent
through the VAE like candidates, and their labels are known.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from defuse_engine.configs import AuditConfig
from defuse_engine.inputs.dataset import Split
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.models.onnx_model import Classifier, Decoder, Encoder
from defuse_engine.readers.low_pass import LowPass
from defuse_engine.run import Run
from defuse_engine.search.belief import Belief, Calibration
from defuse_engine.search.classify_codes import Candidates
from defuse_engine.search.last_word import LastWord, evidence
from defuse_engine.search.log_odds import log_odds
from defuse_engine.search.neighbours import Neighbours, neighbours_for
from defuse_engine.search.readers import Readers
from defuse_engine.search.thresholds import Thresholds, Typical, set_thresholds
from defuse_engine.search.two_looks import Looks, look_twice, strongest_blur
from defuse_engine.types import Codes, Images

_MOST_ITEMS = 10_000
_MOST_ITEMS_OF_LAST_WORD = 5_000
_LEAST_OF_EACH = 10
"""Bugs, and items that are none, that a calibration needs at least."""
_FOLDS = 5
_BINS = 10
_REACH_UNCALIBRATED = 0.999


class CalibratedBelief:
    """Gives each misclassification its probability of being a bug."""

    readers: Readers
    calibration: Calibration | None

    def __init__(self, encoder: Encoder, decoder: Decoder, neighbours: Neighbours, readers: Readers):
        """Start without a calibration and without thresholds."""
        self._encoder, self._decoder = encoder, decoder
        self._neighbours, self.readers = neighbours, readers
        self._blur: LowPass | None = None
        self._model: LogisticRegression | None = None
        self.calibration = Calibration(0, 0.0, 0.0, 0.0)
        self.typical = Typical(reach=_REACH_UNCALIBRATED)
        self.thresholds = Thresholds()

    def calibrate(self, split: Split, classifier: Classifier, rng: np.random.Generator) -> None:
        """Learn from items with known labels, which the neighbours must not hold (the validation split)."""
        known, codes = self._known(split, classifier, rng, _MOST_ITEMS)
        labels, predicted, rows = known.seed_labels, known.predicted, np.arange(len(known))
        votes = self._neighbours.labels_near(codes)
        self._blur = strongest_blur(self.readers.probabilities, known.images, labels)
        looks = look_twice(self.readers.probabilities, known.images, self._blur)
        share = (votes == predicted[:, None]).mean(axis=1)
        features = _features(share, looks.most[rows, predicted], known.confidence, votes.shape[1])
        bugs = labels != predicted
        if _enough(bugs):
            self._model = _regression().fit(features, bugs)
            self.calibration = _cross_validated(features, bugs)
        self.typical = Typical(self._reach())
        if not bugs.all():
            agreement = (votes == labels[:, None]).mean(axis=1)[~bugs]
            own = looks.least[rows, labels][~bugs]
            self.typical = Typical(self._reach(), float(np.median(agreement)), float(np.median(own)))

    def open_last_word(self, run: Run) -> LastWord:
        """Return the held-out readers' word, trusted as far as validation items sent through the VAE tell."""
        split, classifier = run.inputs.dataset.validation, run.inputs.classifier
        known, _ = self._known(split, classifier, run.generator("last word"), _MOST_ITEMS_OF_LAST_WORD)
        blur, readers = self._blur, self.readers

        def look(images: Images) -> Looks:
            return look_twice(readers.held_out_probabilities, images, blur)

        looks, rows = look(known.images), np.arange(len(known))
        bugs = known.seed_labels != known.predicted
        model = None
        if _enough(bugs):
            seen = looks.most[rows, known.predicted]
            model = _regression().fit(evidence(self(known).bug_probability, seen), bugs)
        own = looks.least[rows, known.seed_labels][~bugs]
        typical = 1.0 if bugs.all() else float(np.median(own))
        return LastWord(self._decoder, look, model, self.thresholds.probability, typical)

    def _known(
        self, split: Split, classifier: Classifier, rng: np.random.Generator, most: int
    ) -> tuple[Candidates, Codes]:
        """Send items through the VAE, as candidates are; return them, and their codes encoded again."""
        sample = np.sort(rng.permutation(len(split))[:most])
        chunk_size = self._encoder.session.chunk_size
        images = split.map(lambda some: self._decoder(self._encoder(some)), chunk_size, sample)
        probabilities = classifier.probabilities(torch.from_numpy(classifier(images))).numpy()
        codes = self._encoder(images)
        told = finite_items(images) & finite_items(probabilities) & finite_items(codes)
        predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        return Candidates(images, split.labels[sample], predicted, confidence)[told], codes[told]

    def _reach(self) -> float:
        """The largest probability that a candidate of even odds can get: nobody reads its class."""
        if self._model is None:
            return _REACH_UNCALIBRATED
        nothing = np.zeros(1, np.float32)
        features = _features(nothing, nothing, np.full(1, 0.5, np.float32), self._neighbours.count)
        return float(self._model.predict_proba(features)[0, 1])

    def __call__(self, candidates: Candidates, least: float = 0.0) -> Belief:
        """Assess candidates.

        If a candidate cannot reach a probability of `least`, whatever the neighbours say, they are not asked.
        Its probability is then the highest that it could have, below `least`, and its agreement is 0.
        If the image, its code or the confidence is not finite, nothing is believed: all values are 0.
        """
        told = finite_items(candidates.images) & np.isfinite(candidates.confidence)
        if told.all():
            return self._assess(candidates, least)
        assessed = self._assess(candidates[told], least)
        belief = Belief(*(np.zeros(len(candidates), values.dtype) for values in vars(assessed).values()))
        for name, values in vars(assessed).items():
            getattr(belief, name)[told] = values
        return belief

    def _assess(self, candidates: Candidates, least: float) -> Belief:
        rows = np.arange(len(candidates))
        if len(rows) == 0:
            nothing = np.zeros(0, np.float32)
            return Belief(nothing, nothing, np.zeros(0, np.int64), nothing)
        predicted, confidence = candidates.predicted, candidates.confidence
        looks = look_twice(self.readers.probabilities, candidates.images, self._blur)
        seen = looks.most[rows, predicted]
        nobody = np.zeros(len(rows), np.float32)
        # Monotone in the share of neighbours, and in theory it may rise with it.
        probability = np.maximum(
            self._probability(nobody, seen, confidence), self._probability(nobody + 1, seen, confidence)
        )
        asked = np.flatnonzero(probability >= least)
        agreement = nobody
        if len(asked):
            codes = self._encoder(candidates.images[asked])
            told = finite_items(codes)
            probability[asked[~told]] = 0.0
            asked = asked[told]
            votes = self._neighbours.labels_near(codes[told])
            share = (votes == predicted[asked, None]).mean(axis=1)
            probability[asked] = self._probability(share, seen[asked], confidence[asked])
            agreement[asked] = (votes == candidates.seed_labels[asked, None]).mean(axis=1)
        return Belief(
            probability, agreement, looks.least.argmax(axis=1), looks.least[rows, candidates.seed_labels]
        )

    def _probability(
        self,
        share: Float[np.ndarray, " n"],
        seen: Float32[np.ndarray, " n"],
        confidence: Float32[np.ndarray, " n"],
    ) -> Float32[np.ndarray, " n"]:
        """Of being a bug, if this share of the neighbours bears the predicted class."""
        if self._model is None:
            return (1.0 - np.maximum(share, seen)).astype(np.float32)
        features = _features(share, seen, confidence, self._neighbours.count)
        return self._model.predict_proba(features)[:, 1].astype(np.float32)


def calibrated_belief(run: Run, config: AuditConfig) -> CalibratedBelief:
    """Return a belief model calibrated on the validation split, with the thresholds of `config`."""
    inputs = run.inputs
    train, classes = inputs.dataset.train, inputs.dataset.class_count
    count = neighbours_for(config.neighbours, len(run.train_codes), classes)
    neighbours = Neighbours(run.train_codes, train.labels, count, run.device)
    model = CalibratedBelief(inputs.encoder, inputs.decoder, neighbours, Readers(run))
    model.calibrate(inputs.dataset.validation, inputs.classifier, run.generator("calibration"))
    model.thresholds = set_thresholds(model.typical, config, run.reporter)
    return model


def _features(
    share: Float[np.ndarray, " n"],
    seen: Float32[np.ndarray, " n"],
    confidence: Float32[np.ndarray, " n"],
    neighbours: int,
) -> Float64[np.ndarray, "n 3"]:
    """Log-odds of the predicted class: by its share of neighbours, by the readers and by the classifier.

    Of the readers' two looks `seen` is the one that gives it more.
    """
    votes = share * neighbours
    # The preflight only warns of outputs that are declared as probabilities and are none.
    own = confidence.astype(np.float64).clip(0.0, 1.0)
    return np.stack(
        [np.log((votes + 0.5) / (neighbours - votes + 0.5)), log_odds(seen), log_odds(own)], axis=1
    )


def _enough(bugs: Bool[np.ndarray, " n"]) -> bool:
    return bool(min(bugs.sum(), (~bugs).sum()) >= _LEAST_OF_EACH)


def _regression() -> LogisticRegression:
    return LogisticRegression(max_iter=1000)


def _cross_validated(features: Float64[np.ndarray, "n 3"], bugs: Bool[np.ndarray, " n"]) -> Calibration:
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    both = cross_val_predict(_regression(), features, bugs, cv=folds, method="predict_proba")
    probability = np.asarray(both)[:, 1]
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
