"""Regions made to show one mistake each, and to show it clearly.

A component of the mixture lies where misclassified codes were found, at the edge of the mistake that is
nearest to the seeds. Fresh samples show where the mistake is: the mean moves onto those that are
misclassified and believed. A region whose samples show different things is split again. A region that still
does not convince is not shown, because people's time is the scarcest thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from defuse_engine.configs import LEAST_CODES
from defuse_engine.random_streams import stream_random_seed
from defuse_engine.regions.grouping import Region, halves
from defuse_engine.regions.sampled_regions import RegionSampler, SampledRegion
from defuse_engine.search.thresholds import Thresholds
from defuse_engine.types import Codes

SAMPLES = 100
"""Fresh samples that regions are rated on, or more if more are shown. A rate's 95% interval is +-0.1."""
_ASSESSED = 40
"""Those of them that the belief model assesses, which takes most of the time."""
_SAMPLES_ON_THE_WAY = 30
_REGION_SPLITS = 3
_ROUNDS = _REGION_SPLITS + 2
_LEAST_PURITY = 0.9
"""Share of samples that must show the same thing, or the region is split again."""
_LEAST_READ = 0.9
"""Share of the assessed samples in which the readers must see the seed label."""
_LEAST_SEEN = 0.5
"""Probability that held-out readers must give the seed label, over their typical one."""
_LEAST_WRONG = 0.5
"""Share of samples that must be misclassified. Below, people would mostly look at what is right."""


@dataclass(frozen=True)
class Refined:
    """The outcome for some regions."""

    regions: tuple[SampledRegion, ...]
    """Those that convince."""
    region_splits: int
    """Regions that were taken apart."""
    unconvincing: int


Refine = Callable[[list[Region], RegionSampler, Codes, int, Callable[[int, int], None]], Refined]
"""A way to refine: regions, sampler, the codes that members number, least samples, `on_progress`."""


def sample_as_grouped(
    regions: list[Region],
    sampler: RegionSampler,
    codes: Codes,
    least_samples: int,
    on_progress: Callable[[int, int], None],
) -> Refined:
    """Sample regions and leave them as the mixture made them."""
    samples = max(SAMPLES, least_samples)
    return Refined(tuple(sampler.sample(regions, samples, "distill/samples")), 0, 0)


def refine(
    regions: list[Region],
    sampler: RegionSampler,
    codes: Codes,
    least_samples: int,
    on_progress: Callable[[int, int], None],
) -> Refined:
    """Move regions, take mixed ones apart, and sift them; `codes` are those that their members number.

    `on_progress(done, total)` counts samplings: each region may be sampled in every round.
    """
    samples, thresholds = max(SAMPLES, least_samples), sampler.belief_model.thresholds
    rounds = _Rounds(len(regions), on_progress)
    moved, region_splits = _take_apart(regions, sampler, codes, rounds)
    sifted = [one for one in moved if one is not None]
    # The stream keeps its first name: another one would change every result.
    assessed = sampler.sample(sifted, _ASSESSED, "distill/judged")
    convincing = [one for one in rounds.counted(assessed, len(sifted)) if _convinces(one, thresholds)]
    least_seen = _LEAST_SEEN * sampler.typical_label_probability
    convincing = [one for one in sampler.read_again(convincing) if one.label_probability >= least_seen]
    widened = sampler.widened(convincing, samples - _ASSESSED, "distill/samples", least_samples)
    return Refined(tuple(widened), region_splits, len(moved) - len(convincing))


class _Rounds:
    """Counts samplings in rounds; each counts as many, however many regions are left."""

    def __init__(self, regions: int, on_progress: Callable[[int, int], None]):
        self._regions, self._on_progress = regions, on_progress
        self._begun = 0

    def counted(self, sampled_regions: Iterable[SampledRegion], count: int) -> Iterator[SampledRegion]:
        """Give the `count` regions of the next round."""
        before, total = self._begun * self._regions, _ROUNDS * self._regions
        self._begun += 1
        for number, sampled in enumerate(sampled_regions, 1):
            yield sampled
            self._on_progress(before + self._regions * number // count, total)


def _take_apart(
    regions: list[Region], sampler: RegionSampler, codes: Codes, rounds: _Rounds
) -> tuple[list[Region | None], int]:
    """Sample regions, and again the parts of those that are mixed; count these.

    Returns each region moved (`_moved`).
    """
    device, thresholds = sampler.decoder.session.runtime.device, sampler.belief_model.thresholds
    refined: list[Region | None] = []
    region_splits = 0
    for number in range(_REGION_SPLITS + 1):
        sampled_regions = sampler.sample(
            regions, _SAMPLES_ON_THE_WAY, f"distill/split-{number}", thresholds.probability
        )
        # All are sampled before the first is split: a fit holds the whole process to one thread.
        outcomes = [
            (_moved(sampled, thresholds), _is_pure(sampled))
            for sampled in rounds.counted(sampled_regions, len(regions))
        ]
        mixed: list[Region] = []
        for row, (region, (moved, is_pure)) in enumerate(zip(regions, outcomes, strict=True)):
            parts: list[Region] = []
            if number < _REGION_SPLITS and not is_pure:
                random_state = stream_random_seed(sampler.random_seed, f"distill/halves-{number}", row)
                parts = halves(region, codes, random_state, device)
            mixed += parts
            region_splits += bool(parts)
            refined += [] if parts else [moved]
        regions = mixed
    return refined, region_splits


def _is_pure(sampled: SampledRegion) -> bool:
    return min(sampled.reading_purity(), sampled.prediction_purity()) >= _LEAST_PURITY


def _moved(sampled: SampledRegion, thresholds: Thresholds) -> Region | None:
    """Move the mean onto the samples that show the mistake; None if there is hardly any such sample."""
    shows_it = (
        (sampled.predicted == sampled.region.predicted_class)
        & (sampled.bug_probability >= thresholds.probability)
        & (sampled.agreement >= thresholds.agreement)
        & (sampled.seed_probability >= thresholds.reading)
    )
    if shows_it.sum() < LEAST_CODES:
        return None
    return replace(sampled.region, mean=sampled.codes[shows_it].mean(axis=0, dtype=np.float64))


def _convinces(sampled: SampledRegion, thresholds: Thresholds) -> bool:
    return (
        float(sampled.wrong.mean()) >= _LEAST_WRONG
        and sampled.mean_bug_probability >= thresholds.region_probability
        and float(sampled.agreement.mean()) >= thresholds.region_agreement
        and float((sampled.seed_probability >= thresholds.reading).mean()) >= _LEAST_READ
    )
