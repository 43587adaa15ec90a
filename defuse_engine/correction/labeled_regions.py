"""Regions with the class that people gave them, and samples of them to train on or to measure with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from scipy.spatial.distance import cdist

from defuse_engine.configs import RegionLabel
from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.regions.grouping import sample_region
from defuse_engine.run import Run
from defuse_engine.types import Codes, Images, Labels, Regions, Rows

_MOST_BYTES = 1 << 28
_LEAST_SAMPLES = 8
_DECODED_AT_ONCE = 2_048


@dataclass(frozen=True)
class LabeledSamples(Rows):
    """Images (n, C, H, W) to train on, and their targets; row i of all is the same sample."""

    images: Images
    labels: Labels
    """For a region's sample what people said, otherwise the label of the item or seed."""
    read: Float32[np.ndarray, "n k"] | None = None
    """The readers' probabilities: half of the target if nobody looked at the samples themselves."""


@dataclass(frozen=True)
class LabeledRegions:
    """The regions of an audit, and the labels that people gave to some of them."""

    labels: tuple[RegionLabel, ...]
    regions: Regions

    def check(self, class_count: int) -> None:
        """Raise `JobInvalid` if a label names no region of the audit, or no class of the dataset."""
        for label in self.labels:
            if label.region >= len(self.regions):
                raise JobInvalid(
                    f"label for region {label.region}: the audit has regions 0..{len(self.regions) - 1}"
                )
            if label.label >= class_count:
                raise JobInvalid(
                    f"label {label.label} of region {label.region} must be a class in 0..{class_count - 1}"
                )

    def is_confirmed(self, label: RegionLabel) -> bool:
        """Whether a region is a confirmed bug: people disagree with the classifier's prediction."""
        return label.label != int(self.regions.predicted_classes[label.region])

    def bears_seed_label(self, label: RegionLabel) -> bool:
        """Whether people saw in a region what its seeds show."""
        return label.label == int(self.regions.seed_labels[label.region])

    def contradictions(self) -> list[tuple[RegionLabel, RegionLabel]]:
        """Return pairs of regions that lie in one place and got different labels.

        In one place means: the mean of each belongs to the samples of the other. It is no farther from their
        mean than they are on average (a squared Mahalanobis distance of at most D, with tau times the
        covariance).
        """
        labels, regions = self.labels, self.regions
        if not labels:
            return []
        rows, classes = [label.region for label in labels], np.array([label.label for label in labels])
        means, reach, tau = regions.means[rows], float(regions.means.shape[1]), regions.tau
        covariances = [regions.covariances[row] for row in rows]
        # [i, j]: the mean of i belongs to the samples of j. At first: it may.
        held = cdist(means, means, "sqeuclidean") <= [reach * one.most_variance(tau) for one in covariances]
        held &= held.T & (classes[:, None] != classes)
        for j in np.flatnonzero(held.any(axis=0)):
            others = np.flatnonzero(held[:, j])
            held[others, j] = covariances[j].squared_distances(means[others] - means[j], tau) <= reach
        return [(labels[i], labels[j]) for i, j in zip(*np.nonzero(np.triu(held & held.T, 1)), strict=True)]

    def draw_samples(
        self, run: Run, taus: tuple[float, ...], count: int, stage: str, most: int | None = None
    ) -> LabeledSamples:
        """Decode `count` samples of N(mean, tau * covariance) of each labeled region, tau taking turns.

        Every region has a stream of its own, named by stage and region: stages share no sample. Samples
        without an answer are left out (`answered`). All images together are `most` and take up to 256 MiB,
        at eight samples a region or more: of many regions, or of large images, there are fewer of each.
        """
        image_bytes = 4 * math.prod(run.inputs.dataset.image_shape)
        affordable = _MOST_BYTES // image_bytes if most is None else min(_MOST_BYTES // image_bytes, most)
        count = min(count, max(_LEAST_SAMPLES, affordable // max(1, len(self.labels))))
        classes = np.repeat(np.array([one.label for one in self.labels], np.int64), count)
        images = np.empty((len(classes), *run.inputs.dataset.image_shape), np.float32)
        kept = np.zeros(len(classes), bool)
        at_once = max(1, _DECODED_AT_ONCE // count)
        for start in range(0, len(self.labels), at_once):
            run.reporter.progress("correct", start, len(self.labels), "regions")
            codes = [
                draw_codes(one.region, self.regions, taus, count, run.generator(stage, one.region))
                for one in self.labels[start : start + at_once]
            ]
            drawn = run.inputs.decoder(np.concatenate(codes))
            rows = slice(start * count, start * count + len(drawn))
            images[rows] = drawn
            kept[rows.start + answered(drawn, run.inputs.classifier)] = True
        samples = LabeledSamples(images, classes)
        return samples if kept.all() else samples[np.flatnonzero(kept)]


def answered(images: Images, classifier: Classifier) -> Int64[np.ndarray, " m"]:
    """Return rows of decoded images that are finite and get a finite answer: only those have a loss."""
    drawn = np.flatnonzero(finite_items(images))
    return drawn[finite_items(classifier(images[drawn]))]


def draw_codes(
    region: int, regions: Regions, taus: tuple[float, ...], count: int, rng: np.random.Generator
) -> Codes:
    """Sample N(mean, tau * covariance) of one region, tau taking turns."""
    # One at tau = 1, then each row by its own tau.
    drawn = sample_region(regions.means[region], regions.covariances[region], 1.0, count, rng)
    mean = regions.means[region].astype(np.float32)
    scale = np.sqrt(np.resize(np.array(taus, np.float32), count))
    return mean + (drawn - mean) * scale[:, None]
