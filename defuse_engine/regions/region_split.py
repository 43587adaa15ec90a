"""The region split: bugs and regions that people called mixed are taken apart, rated and shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from defuse_engine.configs import AuditConfig, MixedBug, RegionSplitConfig
from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.loaded import LoadedInputs
from defuse_engine.job_folder.job_file import Job, required
from defuse_engine.job_folder.output_files import read_found
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.regions.bugs import in_two, one_by_one
from defuse_engine.regions.described_bugs import describe_bugs
from defuse_engine.regions.gallery import Gallery
from defuse_engine.regions.grouping import Region, cut, halves, with_majorities
from defuse_engine.regions.harm import Misread, draw_misread
from defuse_engine.regions.rated_regions import RatedRegion, as_arrays, rate
from defuse_engine.regions.recipe import AuditRecipe
from defuse_engine.regions.refine import SAMPLES
from defuse_engine.regions.regions_file import joined, read_regions, write_regions
from defuse_engine.regions.sampled_regions import RegionSampler, SampledRegion
from defuse_engine.run import Run, open_run
from defuse_engine.search.belief import BeliefModel
from defuse_engine.types import Misclassifications, Regions

_LEAST_CODES = 5
"""Least codes of a part. A search's groups need more, because nobody has looked at them. Most regions have
fewer than twenty codes: on Fashion-MNIST 96 of a hundred."""


@dataclass(frozen=True)
class _Outcome:
    """The parts of one region, or the reason why it has none."""

    parent: int
    parts: tuple[SampledRegion, ...]
    reason: str


def split_regions(
    job: Job, config: RegionSplitConfig, recipe: AuditRecipe, inputs: LoadedInputs, reporter: Reporter
) -> dict[str, Any]:
    """Split bugs and regions, write `regions.npz` and contact sheets; return what `result.json` gains.

    A bug of several cells becomes two bugs. A bug of one cell is split by its codes, as a region is, and each
    part is a bug. The file holds the audit's regions under their numbers, and the parts behind them, those
    with the largest harm first. The parts of a region do not depend on which others are split with it. Raises
    `JobInvalid` if the regions and the misclassifications are not of one audit.
    """
    regions, found = _read(job, config)
    run = open_run(job, inputs, reporter)
    belief_model = recipe.search.open_belief_model(run, config.audit)
    splitter = _RegionSplitter(run, config.audit, recipe, belief_model, regions, found)
    numbers = [*config.regions, *(bug.cells[0] for bug in config.bugs if len(bug.cells) == 1)]
    outcomes: list[_Outcome] = []
    for number in numbers:
        reporter.progress("distill", len(outcomes), len(numbers), "regions")
        outcomes.append(splitter.split(number))
    misread = draw_misread(run, belief_model)
    parts = _rated(misread, outcomes, regions, found)
    arrays = as_arrays([rated.region for _, rated in parts], regions.tau, regions.means.shape[1])
    write_regions(job.output / "regions.npz", joined(regions, arrays))
    gallery = Gallery(run, config.audit)
    described = [
        {**gallery.describe(len(regions) + place, rated, found), "parent": parent}
        for place, (parent, rated) in enumerate(parts)
    ]
    others = [regions.members_of(number) for number in range(len(regions))]
    bugs: list[dict[str, Any]] = []
    for mixed in config.bugs:
        its = _cells(splitter, mixed, parts, misread, others)
        described_parts = describe_bugs(
            gallery,
            misread,
            one_by_one(run, its.sampled) if len(mixed.cells) == 1 else in_two(run, its.sampled),
            its.rated,
            found,
            numbers=its.numbers,
            first=config.first_bug + len(bugs),
            others=others,
        )
        bugs += [{**bug, "parent": mixed.bug} for bug in described_parts]
    reporter.progress("distill", len(numbers), len(numbers), "regions")
    alone = {mixed.cells[0]: mixed.bug for mixed in config.bugs if len(mixed.cells) == 1}
    unsplit = [(outcome.parent, outcome.reason) for outcome in outcomes if not outcome.parts]
    return {
        "config": config.to_json(),
        "regions": described,
        "bugs": bugs,
        "unsplit": [
            {"region": region, "reason": reason} for region, reason in unsplit if region not in alone
        ],
        "unsplit_bugs": [
            {"bug": alone[region], "reason": reason} for region, reason in unsplit if region in alone
        ],
    }


@dataclass(frozen=True)
class _Cells:
    """What the parts of a mixed bug are made of: regions and their numbers."""

    rated: list[RatedRegion]
    numbers: list[int]

    @property
    def sampled(self) -> list[SampledRegion]:
        """Their samples."""
        return [rated.sampled for rated in self.rated]


def _cells(
    splitter: _RegionSplitter,
    mixed: MixedBug,
    parts: list[tuple[int, RatedRegion]],
    misread: Misread,
    others: list[Int64[np.ndarray, " _"]],
) -> _Cells:
    """Return the parts of the only cell of a bug, or all its cells."""
    if len(mixed.cells) == 1:
        places = [place for place, (parent, _) in enumerate(parts) if parent == mixed.cells[0]]
        return _Cells([parts[place][1] for place in places], [len(others) + place for place in places])
    sampler = splitter.sampler(splitter.run.stream_random_seed("split/bug", mixed.bug))
    cells = [splitter.region(number) for number in mixed.cells]
    samples = max(SAMPLES, splitter.config.sheet_samples)
    sampled = sampler.read_again(list(sampler.sample(cells, samples, "distill/samples")))
    return _Cells(rate(misread, sampled, splitter.found, others), list(mixed.cells))


def _read(job: Job, config: RegionSplitConfig) -> tuple[Regions, Misclassifications]:
    found = read_found(job.inputs.misclassifications)
    if found is None:
        raise JobInvalid("job.inputs of kind split needs at least one file of misclassifications")
    regions = read_regions(required(job.inputs.regions))
    named = [*config.regions, *(cell for bug in config.bugs for cell in bug.cells)]
    beyond = [number for number in named if number >= len(regions)]
    if beyond:
        raise JobInvalid(f"config names region {beyond[0]}: the audit has regions 0..{len(regions) - 1}")
    if len(regions.members) and int(regions.members.max()) >= len(found):
        raise JobInvalid(
            f"regions.npz numbers {int(regions.members.max()) + 1} misclassifications or more, the files "
            f"hold {len(found)}: give all chunk files of the audit that found the regions"
        )
    return regions, found


@dataclass(frozen=True)
class _RegionSplitter:
    """Takes regions of one audit apart, as that audit refined them."""

    run: Run
    config: AuditConfig
    recipe: AuditRecipe
    belief_model: BeliefModel
    regions: Regions
    found: Misclassifications

    def split(self, number: int) -> _Outcome:
        """Take apart one region that people said is mixed, whatever its purity; refine its parts."""
        region, codes = self.region(number), self.found.codes
        # A stream of its own: neither the audit's, nor that of another region.
        random_seed = self.run.stream_random_seed("split", number)
        count = len(region.members)
        if count < 2 * _LEAST_CODES:
            return _Outcome(
                number, (), f"it has {count} codes, and two parts take at least {2 * _LEAST_CODES}"
            )
        parts = halves(region, codes, random_seed, self.run.device, _LEAST_CODES)
        if len(parts) < 2:
            parts = cut(region, codes, random_seed, self.run.device)
        parts = [with_majorities(part, self.found) for part in parts]
        sampler = self.sampler(random_seed)
        refined = self.recipe.refine(
            parts, sampler, codes, self.config.sheet_samples, lambda done, total: None
        )
        reason = (
            f"none of its {refined.unconvincing} parts convinces: their fresh samples are mostly classified "
            "correctly, or the dataset's codes around them do not say that they show the seed label"
        )
        return _Outcome(number, refined.regions, "" if refined.regions else reason)

    def sampler(self, random_seed: int) -> RegionSampler:
        """Return a sampler with a random stream of its own."""
        inputs = self.run.inputs
        return RegionSampler(
            inputs.classifier, inputs.decoder, self.belief_model, self.config.tau, random_seed
        )

    def region(self, number: int) -> Region:
        """Return a region of the audit."""
        regions = self.regions
        return Region(
            weight=float(regions.weights[number]),
            mean=regions.means[number],
            covariance=regions.covariances[number],
            seed_label=int(regions.seed_labels[number]),
            predicted_class=int(regions.predicted_classes[number]),
            members=regions.members_of(number),
        )


def _rated(
    misread: Misread, outcomes: list[_Outcome], regions: Regions, found: Misclassifications
) -> list[tuple[int, RatedRegion]]:
    """Return each part with its parent, those with the largest harm first."""
    parents = [outcome.parent for outcome in outcomes for _ in outcome.parts]
    # A part has its share of the misread inputs beside all other regions.
    others = [regions.members_of(number) for number in range(len(regions))]
    rated = rate(misread, [part for outcome in outcomes for part in outcome.parts], found, others)
    # The sort is stable: equal harm keeps the order of the parents.
    return sorted(zip(parents, rated, strict=True), key=lambda part: -part[1].harm.value)
