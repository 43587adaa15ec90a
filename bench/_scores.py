"""Scores a search with an oracle. The oracle is asked only at the end, and nothing is chosen by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from defuse_engine.regions.grouping import sample_region
from defuse_engine.types import Regions

_BATCH = 512
SAMPLES = 64
"""Samples per region: as many as annotators see at most."""
_PURE = 0.9
_MOSTLY = 0.5
Confusion = tuple[int, int]
"""A label and the wrong prediction."""


class Model:
    """An ONNX file, run for its first output on any number of inputs."""

    def __init__(self, path: Path, threads: int):
        """Open the file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Run the model batch by batch."""
        parts = [
            np.asarray(self._session.run([self._output], {self._input: values[start : start + _BATCH]})[0])
            for start in range(0, len(values), _BATCH)
        ]
        return np.concatenate(parts)

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Return the predicted classes (n,)."""
        return self(values).argmax(axis=1) if len(values) else np.zeros(0, np.int64)


@dataclass(frozen=True)
class RegionScores:
    """Scores of regions. Row i of every array is region i."""

    labels: np.ndarray
    """The oracle's majority over fresh samples, which stands for the label that people would give."""
    confirmed: np.ndarray
    purity: np.ndarray
    misclassified: np.ndarray
    """Share of fresh samples whose predicted class is not the label."""
    predictions: np.ndarray
    """The classifier's predictions, as the search reports them."""

    @property
    def bugs(self) -> int:
        """Number of confirmed regions whose samples show one thing."""
        return int(self._pure.sum())

    @property
    def confusions(self) -> frozenset[Confusion]:
        """Confusions of confirmed regions."""
        return self._confusions(self.confirmed)

    @property
    def reproduced_confusions(self) -> frozenset[Confusion]:
        """Confusions of confirmed regions whose samples show one thing and are mostly misclassified.

        If a search finds inputs off the decoder's manifold, samples of its regions are not misclassified.
        """
        return self._confusions(self._pure & (self.misclassified >= _MOSTLY))

    @property
    def _pure(self) -> np.ndarray:
        return self.confirmed & (self.purity >= _PURE)

    def _confusions(self, which: np.ndarray) -> frozenset[Confusion]:
        pairs = zip(self.labels[which], self.predictions[which], strict=True)
        return frozenset((int(label), int(prediction)) for label, prediction in pairs)


def draw_samples(regions: Regions, decoder: Model, seed: int) -> Iterator[np.ndarray]:
    """Give fresh samples of each region, decoded, which no job drew."""
    rng = np.random.default_rng([seed, 20_210_212])
    for mean, covariance in zip(regions.means, regions.covariances, strict=True):
        yield decoder(sample_region(mean, covariance, regions.tau, SAMPLES, rng))


def read_audit(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return codes (n, D) and predicted classes (n,) of the misclassifications of an audit's job folder."""
    chunks = [np.load(path) for path in sorted((folder / "output" / "chunks").glob("*.npz"))]
    codes = np.concatenate([chunk["codes"] for chunk in chunks])
    return codes, np.concatenate([chunk["predicted_class"] for chunk in chunks])


def score_regions(
    regions: Regions, decoder: Model, classifier: Model, oracle: Model, seed: int
) -> RegionScores:
    """Score regions on fresh samples, which no job drew."""
    labels, confirmed, purity, misclassified = [], [], [], []
    for images, prediction in zip(
        draw_samples(regions, decoder, seed), regions.predicted_classes, strict=True
    ):
        label, count = Counter(oracle.predict(images).tolist()).most_common(1)[0]
        labels.append(label)
        confirmed.append(label != prediction)
        purity.append(count / SAMPLES)
        misclassified.append(float((classifier.predict(images) != label).mean()))
    return RegionScores(
        np.array(labels, np.int64),
        np.array(confirmed, bool),
        np.array(purity, np.float64),
        np.array(misclassified, np.float64),
        np.array(regions.predicted_classes, np.int64),
    )


def calibration_error(probability: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean gap between probability and truth over ten bins of equal count."""
    bins = [rows for rows in np.array_split(np.argsort(probability, kind="stable"), 10) if len(rows)]
    return float(np.mean([abs(probability[rows].mean() - truth[rows].mean()) for rows in bins]))


@dataclass(frozen=True)
class Cell:
    """A figure's mean over random seeds, with its 95% interval. A single seed has no interval: None."""

    value: float
    lower: float | None
    upper: float | None
    seeds: int


def interval(values: list[float]) -> Cell:
    """Return the mean over random seeds with a 95% interval by Student's t."""
    quantiles = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}
    mean = float(np.mean(values))
    if len(values) < 2:
        return Cell(mean, None, None, len(values))
    half = quantiles.get(len(values), 2.0) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Cell(mean, mean - half, mean + half, len(values))
