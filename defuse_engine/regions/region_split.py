"""Regions that people called mixed, taken apart: each part shows one mistake, and is rated and shown anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from defuse_engine.configs import SplitConfig
from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.output_files import read_chunk
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.regions.gallery import open_gallery
from defuse_engine.regions.grouping import Region, cut, halves, with_majorities
from defuse_engine.regions.rated_regions import RatedRegion, as_arrays, rate
from defuse_engine.regions.refine import refine
from defuse_engine.regions.regions_file import joined, read_regions, write_regions
from defuse_engine.regions.sampled_regions import RegionSampler, SampledRegion
from defuse_engine.search.open_search import open_judge
from defuse_engine.search.belief import Judge
from defuse_engine.search.misclassification_rows import concatenate
from defuse_engine.search.seeds import encode_split
from defuse_engine.search.thresholds import Thresholds
from defuse_engine.random_streams import stream_seed
from defuse_engine.types import Misclassifications, Regions

_LEAST_CODES = 5
"""Codes that a part needs at least. A search's groups need more, because nobody has looked at them. Most
regions have less than twenty codes: on Fashion-MNIST 96 of a hundred."""


@dataclass(frozen=True)
class _Outcome:
    """What became of one region: its parts, or why it has none."""

    parent: int
    parts: tuple[SampledRegion, ...]
    reason: str


@dataclass(frozen=True)
class _Part:
    """A region that was part of another."""

    parent: int
    rated: RatedRegion


def run(job: Job, config: SplitConfig, resources: Resources, reporter: Reporter) -> dict[str, Any]:
    """Splits regions, writes `regions.npz` and contact sheets; returns what `result.json` gains.

    The file holds the audit's regions under their numbers and the parts behind them, those with the largest
    expected harm first. What comes of a region does not depend on which others are split with it. Raises
    JobInvalid where the regions and the misclassifications are not of one audit.
    """
    regions, found = _read(job, config)
    codes = encode_split(resources.encoder, resources.dataset.train, reporter)
    judge, thresholds = open_judge(resources, codes, config.audit, job.seed, reporter)
    outcomes: list[_Outcome] = []
    for number in config.regions:
        reporter.progress("distill", len(outcomes), len(config.regions), "regions")
        outcomes.append(_split(number, regions, found, resources, judge, thresholds, config, job.seed))
    reporter.progress("distill", len(outcomes), len(config.regions), "regions")
    parts = _rated(outcomes, resources, job.seed)
    arrays = as_arrays([part.rated for part in parts], regions.tau, regions.means.shape[1])
    write_regions(job.output / "regions.npz", joined(regions, arrays))
    gallery = open_gallery(resources, codes, config.audit, job.folder)
    return {
        "config": config.to_json(),
        "regions": [
            {**gallery.describe(len(regions) + place, part.rated, found), "parent": part.parent}
            for place, part in enumerate(parts)
        ],
        "unsplit": [
            {"region": outcome.parent, "reason": outcome.reason} for outcome in outcomes if not outcome.parts
        ],
    }


def _read(job: Job, config: SplitConfig) -> tuple[Regions, Misclassifications]:
    if job.inputs.regions is None or not job.inputs.misclassifications:
        raise JobInvalid("job.inputs of kind split needs regions, and a file of misclassifications at least")
    regions = read_regions(job.inputs.regions)
    found = concatenate([_misclassifications(path) for path in job.inputs.misclassifications])
    beyond = [number for number in config.regions if number >= len(regions)]
    if beyond:
        raise JobInvalid(f"config.regions names {beyond[0]}: the audit has regions 0..{len(regions) - 1}")
    if len(regions.members) and int(regions.members.max()) >= len(found):
        raise JobInvalid(
            f"regions.npz numbers {int(regions.members.max()) + 1} misclassifications or more, the files "
            f"hold {len(found)}: give all chunk files of the audit that found the regions"
        )
    return regions, found


def _misclassifications(path: Path) -> Misclassifications:
    return read_chunk(path).misclassifications


def _region(number: int, regions: Regions) -> Region:
    members = slice(int(regions.member_offsets[number]), int(regions.member_offsets[number + 1]))
    return Region(
        weight=float(regions.weights[number]),
        mean=regions.means[number],
        covariance=regions.covariances[number],
        seed_label=int(regions.seed_labels[number]),
        predicted_class=int(regions.predicted_classes[number]),
        members=regions.members[members],
    )


def _split(
    number: int,
    regions: Regions,
    found: Misclassifications,
    resources: Resources,
    judge: Judge | None,
    thresholds: Thresholds,
    config: SplitConfig,
    seed: int,
) -> _Outcome:
    """Takes apart one region that people said is mixed, whatever its purity; parts are refined as usual."""
    region, device = _region(number, regions), resources.runtime.device
    # A stream of its own: neither the audit's, nor that of another region.
    own_seed = stream_seed(seed, "split", number)
    if len(region.members) < 2 * _LEAST_CODES:
        return _Outcome(
            number, (), f"it has {len(region.members)} codes, and two parts take {2 * _LEAST_CODES} at least"
        )
    parts = halves(region, found.codes, own_seed, device, _LEAST_CODES)
    if len(parts) < 2:
        parts = cut(region, found.codes, own_seed, device)
    parts = [with_majorities(part, found) for part in parts]
    sampler = RegionSampler(resources.classifier, resources.decoder, judge, config.audit.tau, own_seed)
    refined = refine(
        parts, sampler, thresholds, found.codes, config.audit.sheet_samples, device, lambda done, total: None
    )
    reason = (
        f"none of its {refined.unconvincing} parts convinces: their fresh samples are mostly classified "
        "correctly, or the dataset's codes around them do not say that they show the seed label"
    )
    return _Outcome(number, refined.regions, "" if refined.regions else reason)


def _rated(outcomes: list[_Outcome], resources: Resources, seed: int) -> list[_Part]:
    parents = [outcome.parent for outcome in outcomes for _ in outcome.parts]
    parts = [part for outcome in outcomes for part in outcome.parts]
    rated = rate(parts, resources, seed, lambda done: None)
    order = np.argsort([-one.harm.value for one in rated], kind="stable")
    return [_Part(parents[place], rated[place]) for place in order]
