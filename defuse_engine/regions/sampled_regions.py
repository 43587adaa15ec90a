"""Fresh samples of regions, decoded, classified and assessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.parallel import in_order
from defuse_engine.random_streams import numpy_generator
from defuse_engine.regions.grouping import Region, sample_region
from defuse_engine.search.belief import BeliefModel
from defuse_engine.search.classify_codes import Candidates
from defuse_engine.types import Codes, Images, Labels

_AT_ONCE = 1 << 11
"""Samples that one core decodes at once. This bounds memory, whatever the number of regions."""


@dataclass(frozen=True)
class SampledRegion:
    """A region and fresh samples of it; row i of every array is the same sample.

    All n are classified; the belief model assessed the first m.
    """

    region: Region
    codes: Codes
    predicted: Labels
    bug_probability: Float32[np.ndarray, " m"]
    agreement: Float32[np.ndarray, " m"]
    reading: Int64[np.ndarray, " m"]
    """The class that the readers see in the sample."""
    seed_probability: Float32[np.ndarray, " m"]
    """That the readers give the seed label."""
    label_probability: float = field(default=0.0, kw_only=True)
    """That held-out readers give the seed label, mean over the assessed samples; 0 if none were asked."""

    @property
    def wrong(self) -> Bool[np.ndarray, " n"]:
        """Tell which samples are classified as anything but the seed label."""
        return self.predicted != self.region.seed_label

    @property
    def mean_bug_probability(self) -> float:
        """Mean over the assessed samples that are classified as anything but the seed label; 0 if none is."""
        wrong = self.wrong[: len(self.bug_probability)]
        return float(self.bug_probability[wrong].mean(dtype=np.float64)) if wrong.any() else 0.0

    def reading_purity(self) -> float:
        """Return the share of the commonest reading."""
        return float(np.bincount(self.reading).max() / len(self.reading))

    def prediction_purity(self) -> float:
        """Return the share of the commonest prediction among the wrong ones; 1 if there are none."""
        wrong = self.predicted[self.wrong]
        return float(np.bincount(wrong).max() / len(wrong)) if len(wrong) else 1.0


@dataclass(frozen=True)
class RegionSampler:
    """Draws samples of regions; every stage has a random stream of its own."""

    classifier: Classifier
    decoder: Decoder
    belief_model: BeliefModel
    tau: float
    random_seed: int

    def sample(
        self, regions: list[Region], samples: int, stage: str, least: float = 0.0
    ) -> list[SampledRegion]:
        """Draw `samples` of each region; region i of `stage` always gets the same stream.

        `least` is that of `BeliefModel`.
        """
        if not regions:
            return []
        codes = self._draw(regions, samples, stage)
        labels = np.repeat([region.seed_label for region in regions], samples).astype(np.int64)

        def part(start: int) -> tuple[np.ndarray, ...]:
            return self._assess(codes[start : start + _AT_ONCE], labels[start : start + _AT_ONCE], least)

        runtime, starts = self.decoder.session.runtime, range(0, len(codes), _AT_ONCE)
        at_once = runtime.at_once(_AT_ONCE * 4 * math.prod(self.decoder.image_shape))
        parts = in_order(part, starts, at_once, runtime.threads)
        arrays = [np.concatenate(some) for some in zip(*parts, strict=True)]
        return [
            SampledRegion(region, *(values[n * samples : (n + 1) * samples] for values in (codes, *arrays)))
            for n, region in enumerate(regions)
        ]

    @property
    def typical_label_probability(self) -> float:
        """Median probability that held-out readers give an item's own label; 0 if there are none."""
        readers = self.belief_model.readers
        return 0.0 if readers is None else readers.held_out_typical

    def read_again(self, sampled_regions: Sequence[SampledRegion]) -> list[SampledRegion]:
        """Let held-out readers say how far the assessed samples show the seed label."""
        readers = self.belief_model.readers
        if readers is None:
            return list(sampled_regions)
        found: list[SampledRegion] = []
        for sampled in sampled_regions:
            images = self.decoder(sampled.codes[: len(sampled.bug_probability)])
            seen = readers.held_out_probabilities(images)[:, sampled.region.seed_label]
            found.append(replace(sampled, label_probability=float(seen.mean(dtype=np.float64))))
        return found

    def widened(
        self, sampled_regions: Sequence[SampledRegion], samples: int, stage: str
    ) -> list[SampledRegion]:
        """Add `samples` to each region that are classified but not assessed, which is enough for a rate."""
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
                    numpy_generator(self.random_seed, stage, number),
                )
                for number, region in enumerate(regions)
            ]
        )

    def _classify(self, images: Images) -> Float32[np.ndarray, "n k"]:
        return self.classifier.probabilities(torch.from_numpy(self.classifier(images))).numpy()

    def _assess(self, codes: Codes, labels: Labels, least: float) -> tuple[np.ndarray, ...]:
        """Return the arrays of a `SampledRegion` behind `codes`, in its order; all are decoded once."""
        images = self.decoder(codes)
        probabilities = self._classify(images)
        predicted = probabilities.argmax(axis=1)
        confidence = probabilities[np.arange(len(codes)), predicted]
        belief = self.belief_model(Candidates(images, labels, predicted, confidence), least)
        return predicted, belief.bug_probability, belief.agreement, belief.reading, belief.seed_probability
