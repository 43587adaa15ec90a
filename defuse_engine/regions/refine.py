"""Regions made to show one mistake each, and to show it clearly.

A component of the mixture lies where misclassified codes were found: at the edge of the mistake that is
nearest to the seeds. Its fresh samples say where the mistake is: the mean moves onto those that are
misclassified and believed. A region whose samples show different things is split again. What then still does
not convince is not shown to people: their time is the scarcest thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from defuse_engine.configs import LEAST_CODES
from defuse_engine.regions.grouping import Region, halves
from defuse_engine.regions.sampled_regions import RegionSampler, SampledRegion
from defuse_engine.search.thresholds import Thresholds
from defuse_engine.random_streams import stream_seed
from defuse_engine.types import Codes

SAMPLES = 100
"""Fresh samples that regions are rated on (more where more are shown): a rate's 95% interval is +-0.1."""
_JUDGED = 40
"""Of them those that are judged: that takes most of the time."""
_SAMPLES_ON_THE_WAY = 30
_SPLITS = 3
_ROUNDS = _SPLITS + 2
_LEAST_PURITY = 0.9
"""Share of samples that must show the same thing, or the region is split again."""
_LEAST_READ = 0.9
"""Share of the judged samples in which the witness must see the seed label."""
_LEAST_WRONG = 0.5
"""Share of samples that must be misclassified: below, people would mostly look at what is right."""


@dataclass(frozen=True)
class Refined:
    """What became of the regions."""

    regions: tuple[SampledRegion, ...]
    """Of the regions that convince."""
    split: int
    unconvincing: int


def refine(
    regions: list[Region],
    sampler: RegionSampler,
    thresholds: Thresholds,
    codes: Codes,
    least_samples: int,
    device: str,
    on_progress: Callable[[int, int], None],
) -> Refined:
    """Moves, splits and sifts regions; `codes` are those that their members number.

    Without a judge (`preset: paper`) regions stay as the mixture made them. `on_progress(done, total)` counts
    rounds.
    """
    samples = max(SAMPLES, least_samples)
    if sampler.judge is None:
        return Refined(tuple(sampler.sample(regions, samples, "distill/samples")), 0, 0)
    sampled_regions, split = _split(regions, sampler, thresholds, codes, device, on_progress)
    judged = sampler.sample(_moved(sampled_regions, thresholds), _JUDGED, "distill/judged")
    convincing = [sampled for sampled in judged if _convinces(sampled, thresholds)]
    widened = sampler.widened(convincing, samples - _JUDGED, "distill/samples")
    on_progress(_ROUNDS, _ROUNDS)
    return Refined(tuple(widened), split, len(sampled_regions) - len(convincing))


def _split(
    regions: list[Region],
    sampler: RegionSampler,
    thresholds: Thresholds,
    codes: Codes,
    device: str,
    on_progress: Callable[[int, int], None],
) -> tuple[list[SampledRegion], int]:
    """Samples regions, and again the parts of those that are mixed; counts these."""
    refined: list[SampledRegion] = []
    split = 0
    for number in range(_SPLITS + 1):
        sampled_regions = sampler.sample(
            regions, _SAMPLES_ON_THE_WAY, f"distill/split-{number}", thresholds.probability
        )
        on_progress(number + 1, _ROUNDS)
        regions = []
        for row, sampled in enumerate(sampled_regions):
            parts: list[Region] = []
            if number < _SPLITS and not _is_pure(sampled):
                seed = stream_seed(sampler.seed, f"distill/halves-{number}", row)
                parts = halves(sampled.region, codes, seed, device)
            regions += parts
            split += bool(parts)
            refined += [] if parts else [sampled]
    return refined, split


def _is_pure(sampled: SampledRegion) -> bool:
    return min(sampled.reading_purity(), sampled.prediction_purity()) >= _LEAST_PURITY


def _moved(sampled_regions: list[SampledRegion], thresholds: Thresholds) -> list[Region]:
    """Regions with their means on the samples that show the mistake; not those of which hardly any does."""
    moved: list[Region] = []
    for sampled in sampled_regions:
        region = sampled.region
        shows_it = (
            (sampled.predicted == region.predicted_class)
            & (sampled.bug_probability >= thresholds.probability)
            & (sampled.agreement >= thresholds.agreement)
            & (sampled.seed_probability >= thresholds.reading)
        )
        if shows_it.sum() >= LEAST_CODES:
            mean = sampled.codes[shows_it].mean(axis=0, dtype=np.float64)
            moved.append(replace(region, mean=mean))
    return moved


def _convinces(sampled: SampledRegion, thresholds: Thresholds) -> bool:
    return (
        float(sampled.wrong.mean()) >= _LEAST_WRONG
        and sampled.mean_bug_probability >= thresholds.region_probability
        and float(sampled.agreement.mean()) >= thresholds.region_agreement
        and float((sampled.seed_probability >= thresholds.reading).mean()) >= _LEAST_READ
    )
