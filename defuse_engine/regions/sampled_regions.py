"""Fresh samples of regions, decoded, classified and judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.parallel import in_order
from defuse_engine.regions.grouping import Region, sample_region
from defuse_engine.search.belief import Judge
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Codes, Images, Labels

_AT_ONCE = 1 << 11
"""Samples that are decoded at once on one core: bounds memory, whatever the number of regions."""


@dataclass(frozen=True)
class SampledRegion:
    """A region and fresh samples of it; row i of every array is the same sample.

    All n are classified, the first m of them judged.
    """

    region: Region
    codes: Codes
    predicted: Labels
    bug_probability: Float32[np.ndarray, " m"]
    """0 where nobody was asked."""
    agreement: Float32[np.ndarray, " m"]
    reading: Int64[np.ndarray, " m"]
    """What the witness sees in the sample; the seed label where nobody was asked."""
    seed_probability: Float32[np.ndarray, " m"]
    """That the witness gives the seed label; 1 where nobody was asked."""

    @property
    def wrong(self) -> Bool[np.ndarray, " n"]:
        """Which samples are classified as anything but the seed label."""
        return self.predicted != self.region.seed_label

    @property
    def mean_bug_probability(self) -> float:
        """Of the judged samples that are classified as anything but the seed label; 0 where none is."""
        wrong = self.wrong[: len(self.bug_probability)]
        return float(self.bug_probability[wrong].mean(dtype=np.float64)) if wrong.any() else 0.0

    def reading_purity(self) -> float:
        """Share of the commonest reading."""
        return float(np.bincount(self.reading).max() / len(self.reading))

    def prediction_purity(self) -> float:
        """Share of the commonest prediction among the wrong ones; 1 where there are none."""
        wrong = self.predicted[self.wrong]
        return float(np.bincount(wrong).max() / len(wrong)) if len(wrong) else 1.0


@dataclass(frozen=True)
class RegionSampler:
    """Draws samples of regions; every stage has a random stream of its own."""

    classifier: Classifier
    decoder: Decoder
    judge: Judge | None
    tau: float
    seed: int

    def sample(
        self, regions: list[Region], samples: int, stage: str, least: float = 0.0
    ) -> list[SampledRegion]:
        """Draw `samples` of each region; region i of `stage` always gets the same stream.

        `least`: as in `Judge`.
        """
        if not regions:
            return []
        codes = self._draw(regions, samples, stage)
        labels = np.repeat([region.seed_label for region in regions], samples).astype(np.int64)

        def part(start: int) -> tuple[np.ndarray, ...]:
            return self._judged(codes[start : start + _AT_ONCE], labels[start : start + _AT_ONCE], least)

        runtime, starts = self.decoder.session.runtime, range(0, len(codes), _AT_ONCE)
        at_once = runtime.at_once(_AT_ONCE * 4 * math.prod(self.decoder.image_shape))
        parts = in_order(part, starts, at_once, runtime.threads)
        arrays = [np.concatenate(some) for some in zip(*parts, strict=True)]
        return [
            SampledRegion(region, *(values[n * samples : (n + 1) * samples] for values in (codes, *arrays)))
            for n, region in enumerate(regions)
        ]

    def widened(
        self, sampled_regions: Sequence[SampledRegion], samples: int, stage: str
    ) -> list[SampledRegion]:
        """The same with `samples` more that are classified, and not judged: for a rate that is enough."""
        if not sampled_regions or samples <= 0:
            return list(sampled_regions)
        codes = self._draw([sampled.region for sampled in sampled_regions], samples, stage)
        predicted = np.concatenate(
            [
                self._classify(self.decoder(codes[start : start + _AT_ONCE])).argmax(axis=1)
                for start in range(0, len(codes), _AT_ONCE)
            ]
        )
        return [
            replace(
                sampled,
                codes=np.concatenate([sampled.codes, more]),
                predicted=np.concatenate([sampled.predicted, predictions]),
            )
            for sampled, more, predictions in zip(
                sampled_regions,
                np.split(codes, len(sampled_regions)),
                np.split(predicted, len(sampled_regions)),
                strict=True,
            )
        ]

    def _draw(self, regions: list[Region], samples: int, stage: str) -> Codes:
        return np.concatenate(
            [
                sample_region(
                    region.mean,
                    region.covariance,
                    self.tau,
                    samples,
                    numpy_generator(self.seed, stage, number),
                )
                for number, region in enumerate(regions)
            ]
        )

    def _classify(self, images: Images) -> Float32[np.ndarray, "n k"]:
        return self.classifier.probabilities(torch.from_numpy(self.classifier(images))).numpy()

    def _judged(self, codes: Codes, labels: Labels, least: float) -> tuple[np.ndarray, ...]:
        """The arrays of a `SampledRegion` behind `codes`, in its order; all are decoded once."""
        images = self.decoder(codes)
        probabilities = self._classify(images)
        predicted = probabilities.argmax(axis=1)
        if self.judge is None:
            ones = np.ones(len(codes), np.float32)
            return predicted, np.zeros_like(ones), ones, labels, ones
        confidence = probabilities[np.arange(len(codes)), predicted]
        evidence = self.judge(images, labels, predicted, confidence, least)
        return (
            predicted,
            evidence.bug_probability,
            evidence.agreement,
            evidence.reading,
            evidence.seed_probability,
        )
