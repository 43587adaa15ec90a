"""Regions with the class that people gave them, and samples of them to train on or to measure with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from defuse_engine.configs import RegionLabel
from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.regions.grouping import sample_region
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Codes, Images, Labels, Regions

_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class LabeledSamples:
    """Images (n, C, H, W) to train on, and what they are to be classified as; row i of all is the same."""

    images: Images
    labels: Labels
    """Of a region's sample what people said, otherwise that of the item or seed."""
    read: Float32[np.ndarray, "n k"] | None = None
    """What the witness holds each for: half of the target, where nobody looked at the sample itself."""

    def __getitem__(self, rows: Int64[np.ndarray, " _"]) -> LabeledSamples:
        return LabeledSamples(
            self.images[rows], self.labels[rows], None if self.read is None else self.read[rows]
        )


def check_labels(labels: tuple[RegionLabel, ...], regions: Regions, class_count: int) -> None:
    """Raises JobInvalid where a label names no region of the audit, or no class of the dataset."""
    for label in labels:
        if label.region >= len(regions):
            raise JobInvalid(f"label for region {label.region}: the audit has regions 0..{len(regions) - 1}")
        if label.label >= class_count:
            raise JobInvalid(
                f"label {label.label} of region {label.region} must be a class in 0..{class_count - 1}"
            )


def is_confirmed(label: RegionLabel, regions: Regions) -> bool:
    """Whether the region is a confirmed bug: people disagree with the classifier's prediction."""
    return label.label != int(regions.predicted_classes[label.region])


def contradictions(
    labels: tuple[RegionLabel, ...], regions: Regions
) -> list[tuple[RegionLabel, RegionLabel]]:
    """Pairs of regions that lie in one place and got different labels.

    In one place: the mean of each belongs to the samples of the other, being no farther from its mean than
    they are on average (a squared Mahalanobis distance of at most D, with tau times the covariance).
    """
    if not labels:
        return []
    rows = [label.region for label in labels]
    means, size = regions.means[rows], regions.means.shape[1]
    precisions = precisions_of(regions.tau * regions.covariances[rows])
    offsets = means[:, None, :] - means[None, :, :]
    # [i, j]: from the mean of j, with the covariance of j, to the mean of i.
    distances = np.einsum("ijd,jde,ije->ij", offsets, precisions, offsets)
    together = (distances <= size) & (size >= distances.T)
    return [
        (labels[i], labels[j])
        for i, j in zip(*np.nonzero(np.triu(together, 1)), strict=True)
        if labels[i].label != labels[j].label
    ]


def precisions_of(covariances: Float64[np.ndarray, "r d d"]) -> Float64[np.ndarray, "r d d"]:
    """Inverses of covariances, of those without spread in some direction, too: there nothing else is near."""
    return np.linalg.pinv(covariances + _LEAST_VARIANCE * np.eye(covariances.shape[-1]), hermitian=True)


def draw_samples(
    labels: tuple[RegionLabel, ...],
    regions: Regions,
    decoder: Decoder,
    classifier: Classifier,
    taus: tuple[float, ...],
    samples_per_region: int,
    seed: int,
    stage: str,
) -> LabeledSamples:
    """Decodes samples of N(mean, tau * covariance) of each labeled region, tau taking turns.

    Without those that get no answer (`answered`).
    """
    codes = [draw_codes(label.region, regions, taus, samples_per_region, seed, stage) for label in labels]
    samples = LabeledSamples(
        images=decoder(np.concatenate(codes)),
        labels=np.repeat([label.label for label in labels], samples_per_region).astype(np.int64),
    )
    return samples[answered(samples.images, classifier)]


def answered(images: Images, classifier: Classifier) -> Int64[np.ndarray, " m"]:
    """Rows of decoded images that hold numbers and are classified: no loss of the others is a number."""
    drawn = np.flatnonzero(finite_items(images))
    return drawn[finite_items(classifier(images[drawn]))]


def draw_codes(
    region: int, regions: Regions, taus: tuple[float, ...], count: int, seed: int, stage: str
) -> Codes:
    """Samples of N(mean, tau * covariance) of one region, tau taking turns.

    Every region has a stream of its own, named by seed, stage and region: stages share no sample.
    """
    # One at tau = 1, then each row by its own tau.
    drawn = sample_region(
        regions.means[region],
        regions.covariances[region],
        1.0,
        count,
        numpy_generator(seed, stage, region),
    )
    mean = regions.means[region].astype(np.float32)
    scale = np.sqrt(np.resize(np.array(taus, np.float32), count))
    return mean + (drawn - mean) * scale[:, None]
