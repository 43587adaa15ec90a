"""Fresh samples of regions, decoded, classified and assessed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
    codes: Float32[np.ndarray, "s d"]
    """Of the first samples: of those assessed, or of those shown if these are more."""
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
    ) -> Iterator[SampledRegion]:
        """Give each region with `samples` of it; region i of `stage` always gets the same stream.

        `least` is that of `BeliefModel`. The samples of few regions are in memory at one time: whoever asks
        keeps what is needed of them.
        """
        labels = np.repeat([region.seed_label for region in regions], samples).astype(np.int64)

        def part(start: int) -> tuple[np.ndarray, ...]:
            codes = self._draw(regions, samples, stage, start)
            return codes, *self._assess(codes, labels[start : start + len(codes)], least)

        runtime, starts = self.decoder.session.runtime, range(0, len(labels), _AT_ONCE)
        at_once = runtime.at_once(_AT_ONCE * 4 * math.prod(self.decoder.image_shape))
        waiting = iter(regions)
        rest: list[np.ndarray] = []
        for arrays in in_order(part, starts, at_once, runtime.threads):
            ready = [np.concatenate(both) for both in zip(rest, arrays, strict=True)] if rest else arrays
            whole = len(ready[0]) // samples * samples
            for row in range(0, whole, samples):
                # Copies: a view would keep the samples of all its neighbours.
                yield SampledRegion(next(waiting), *(array[row : row + samples].copy() for array in ready))
            rest = [array[whole:] for array in ready]

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
        self, sampled_regions: Sequence[SampledRegion], samples: int, stage: str, shown: int
    ) -> list[SampledRegion]:
        """Add `samples` to each region that are classified but not assessed, which is enough for a rate.

        If `shown` samples are more than those assessed, codes of the new ones are kept, too.
        """
        if not sampled_regions or samples <= 0:
            return list(sampled_regions)
        regions = [sampled.region for sampled in sampled_regions]
        kept = np.arange(samples) < shown - len(sampled_regions[0].codes)
        codes: list[Codes] = []
        predicted: list[Labels] = []
        for start in range(0, len(regions) * samples, _AT_ONCE):
            drawn = self._draw(regions, samples, stage, start)
            codes.append(drawn[kept[np.arange(start, start + len(drawn)) % samples]])
            predicted.append(self._classify(self.decoder(drawn)).argmax(axis=1))
        return [
            replace(
                sampled,
                codes=np.concatenate([sampled.codes, more]),
                predicted=np.concatenate([sampled.predicted, predictions]),
            )
            for sampled, more, predictions in zip(
                sampled_regions,
                np.split(np.concatenate(codes), len(regions)),
                np.split(np.concatenate(predicted), len(regions)),
                strict=True,
            )
        ]

    def _draw(self, regions: list[Region], samples: int, stage: str, start: int) -> Codes:
        """Return the next 2,048 samples from `start` on, counted over all regions, or what is left."""
        first, last = start // samples, min(len(regions), -(-(start + _AT_ONCE) // samples))
        drawn = [
            sample_region(
                region.mean,
                region.covariance,
                self.tau,
                samples,
                numpy_generator(self.random_seed, stage, number),
            )
            for number, region in enumerate(regions[first:last], first)
        ]
        return np.concatenate(drawn)[start - first * samples :][:_AT_ONCE]

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
