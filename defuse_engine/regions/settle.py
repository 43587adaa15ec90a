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
from defuse_engine.regions.impression import Impression, Looker
from defuse_engine.search.bars import Bars
from defuse_engine.seeding import stream_seed
from defuse_engine.types import Codes

SAMPLES = 100
"""Fresh samples that regions are rated on (more where more are shown): a rate's 95% interval is +-0.1."""
_JUDGED = 40
"""Of them those that are judged: that takes most of the time."""
_SAMPLES_ON_THE_WAY = 30
_SPLITS = 3
_LOOKS = _SPLITS + 2
_LEAST_PURITY = 0.9
"""Share of samples that must show the same thing, or the region is split again."""
_LEAST_READ = 0.9
"""Share of the judged samples in which the witness must see the seed label."""
_LEAST_WRONG = 0.5
"""Share of samples that must be misclassified: below, people would mostly look at what is right."""


@dataclass(frozen=True)
class Settled:
    """What became of the regions."""

    impressions: tuple[Impression, ...]
    """Of the regions that convince."""
    split: int
    unconvincing: int


def settle(
    regions: list[Region],
    looker: Looker,
    bars: Bars,
    codes: Codes,
    least_samples: int,
    device: str,
    on_progress: Callable[[int, int], None],
) -> Settled:
    """Moves, splits and sifts regions; `codes` are those that their members number.

    Without a judge (`preset: paper`) regions stay as the mixture made them. `on_progress(done, total)` counts
    looks.
    """
    samples = max(SAMPLES, least_samples)
    if looker.judge is None:
        return Settled(tuple(looker.look(regions, samples, "distill/samples")), 0, 0)
    impressions, split = _split(regions, looker, bars, codes, device, on_progress)
    judged = looker.look(_moved(impressions, bars), _JUDGED, "distill/judged")
    convincing = [impression for impression in judged if _convinces(impression, bars)]
    widened = looker.widened(convincing, samples - _JUDGED, "distill/samples")
    on_progress(_LOOKS, _LOOKS)
    return Settled(tuple(widened), split, len(impressions) - len(convincing))


def _split(
    regions: list[Region],
    looker: Looker,
    bars: Bars,
    codes: Codes,
    device: str,
    on_progress: Callable[[int, int], None],
) -> tuple[list[Impression], int]:
    """Looks at regions, and again at the parts of those that are mixed; counts these."""
    settled: list[Impression] = []
    split = 0
    for number in range(_SPLITS + 1):
        impressions = looker.look(regions, _SAMPLES_ON_THE_WAY, f"distill/split-{number}", bars.probability)
        on_progress(number + 1, _LOOKS)
        regions = []
        for row, impression in enumerate(impressions):
            parts: list[Region] = []
            if number < _SPLITS and not _is_pure(impression):
                seed = stream_seed(looker.seed, f"distill/halves-{number}", row)
                parts = halves(impression.region, codes, seed, device)
            regions += parts
            split += bool(parts)
            settled += [] if parts else [impression]
    return settled, split


def _is_pure(impression: Impression) -> bool:
    return min(impression.reading_purity(), impression.prediction_purity()) >= _LEAST_PURITY


def _moved(impressions: list[Impression], bars: Bars) -> list[Region]:
    """Regions with their means on the samples that show the mistake; not those of which hardly any does."""
    moved: list[Region] = []
    for impression in impressions:
        region = impression.region
        shows_it = (
            (impression.predicted == region.predicted_class)
            & (impression.bug_probability >= bars.probability)
            & (impression.agreement >= bars.agreement)
            & (impression.seed_probability >= bars.reading)
        )
        if shows_it.sum() >= LEAST_CODES:
            mean = impression.codes[shows_it].mean(axis=0, dtype=np.float64)
            moved.append(replace(region, mean=mean))
    return moved


def _convinces(impression: Impression, bars: Bars) -> bool:
    return (
        float(impression.wrong.mean()) >= _LEAST_WRONG
        and impression.mean_bug_probability >= bars.region_probability
        and float(impression.agreement.mean()) >= bars.region_agreement
        and float((impression.seed_probability >= bars.reading).mean()) >= _LEAST_READ
    )
