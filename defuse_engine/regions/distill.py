"""Step 2, distill: misclassified codes become regions, and regions become bugs that people can label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from defuse_engine.configs import LEAST_CODES, AuditConfig
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.regions.described_bugs import describe_bugs
from defuse_engine.regions.gallery import Gallery
from defuse_engine.regions.grouping import Grouping, Region
from defuse_engine.regions.harm import Misread, draw_misread
from defuse_engine.regions.narrow_regions import likeliest, narrow_regions
from defuse_engine.regions.rated_regions import RatedRegion, as_arrays, rate
from defuse_engine.regions.recipe import AuditRecipe
from defuse_engine.regions.refine import Refined
from defuse_engine.regions.regions_file import write_regions
from defuse_engine.regions.sampled_regions import RegionSampler
from defuse_engine.run import Run
from defuse_engine.search.belief import BeliefModel
from defuse_engine.search.growth import CLOSER
from defuse_engine.types import Misclassifications


@dataclass(frozen=True)
class Distilled:
    """Regions and bugs as `result.json` has them, those with the largest harm first."""

    regions: list[dict[str, Any]]
    bugs: list[dict[str, Any]]


def distill(
    run: Run, config: AuditConfig, recipe: AuditRecipe, belief_model: BeliefModel, found: Misclassifications
) -> Distilled:
    """Group, refine, rate and show regions, and group them into bugs.

    Writes `regions.npz` and contact sheets. Warns if no region convinces.
    """
    misread = draw_misread(run, belief_model)
    rated = _regions(run, config, recipe, belief_model, misread, found)
    arrays = as_arrays([one.region for one in rated], config.tau, run.train_codes.shape[1])
    write_regions(run.folder / "output" / "regions.npz", arrays)
    gallery = Gallery(run, config)
    objects: list[dict[str, Any]] = []
    for index, region in enumerate(rated):
        objects.append(gallery.describe(index, region, found))
        run.reporter.progress("distill", index + 1, len(rated), "regions")
    bugs = recipe.group_cells(run, [region.sampled for region in rated])
    numbers = range(len(rated))
    return Distilled(objects, describe_bugs(gallery, misread, bugs, rated, found, numbers=numbers))


def _regions(
    run: Run,
    config: AuditConfig,
    recipe: AuditRecipe,
    belief_model: BeliefModel,
    misread: Misread,
    found: Misclassifications,
) -> list[RatedRegion]:
    def told(unit: str) -> Callable[[int, int], None]:
        return lambda done, total: run.reporter.progress("distill", done, total, unit)

    def refined(regions: list[Region], random_seed: int) -> Refined:
        inputs = run.inputs
        sampler = RegionSampler(inputs.classifier, inputs.decoder, belief_model, config.tau, random_seed)
        return recipe.refine(regions, sampler, found.codes, config.sheet_samples, told("samplings"))

    random_state = run.stream_random_seed("distill/mixture")
    grouping = recipe.group(found, config, random_state, told("steps"), run.device)
    grouped = refined(list(grouping.regions), run.random_seed)
    sampled_regions = list(grouped.regions)
    if recipe.adds_narrow_regions:
        shown = {(one.region.seed_label, one.region.predicted_class) for one in sampled_regions}
        narrow = narrow_regions(found, shown, CLOSER * config.noise_scale * run.latent_spread)
        sampled_regions += likeliest(refined(narrow, run.stream_random_seed("distill/narrow")).regions)
    _warn(found, grouping, len(sampled_regions), grouped.unconvincing, run.reporter)
    rated = rate(misread, sampled_regions, found)
    # The sort is stable: equal harm keeps the order of the fit.
    return sorted(rated, key=lambda one: -one.harm.value)


def _warn(
    found: Misclassifications, grouping: Grouping, shown: int, unconvincing: int, reporter: Reporter
) -> None:
    if not shown:
        reporter.warning(
            "NO_REGION",
            f"{len(found)} misclassifications form no region. A region takes {LEAST_CODES} that lie "
            "together, or one around which fresh samples clearly show its mistake. Search more seeds, or "
            "with more noise",
        )
    if unconvincing:
        reporter.warning(
            "REGIONS_UNCONVINCING",
            f"{unconvincing} of {unconvincing + shown} regions are not shown: their fresh samples are "
            "mostly classified correctly, or neither the dataset's codes around them nor networks that read "
            "them say that they show the seed label",
        )
    if grouping.converged < grouping.mixtures:
        reporter.warning(
            "MIXTURE_NOT_CONVERGED",
            f"{grouping.mixtures - grouping.converged} of {grouping.mixtures} mixtures stopped before they "
            "converged. Their regions may be split or merged",
        )
