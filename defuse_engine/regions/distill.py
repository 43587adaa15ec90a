"""Step 2, distill: misclassified codes become regions that people can look at and label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from defuse_engine.configs import LEAST_CODES, AuditConfig
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.regions.gallery import open_gallery
from defuse_engine.regions.grouping import Grouping, Region, group
from defuse_engine.regions.narrow_regions import likeliest, narrow_regions
from defuse_engine.regions.rated_regions import RatedRegion, as_arrays, rate
from defuse_engine.regions.refine import Refined, refine
from defuse_engine.regions.regions_file import write_regions
from defuse_engine.regions.sampled_regions import RegionSampler
from defuse_engine.search.open_search import latent_spread
from defuse_engine.search.belief import Judge
from defuse_engine.search.growth import CLOSER
from defuse_engine.search.thresholds import Thresholds
from defuse_engine.random_streams import stream_seed
from defuse_engine.types import Codes, Misclassifications


def run(
    *,
    misclassifications: Misclassifications,
    resources: Resources,
    judge: Judge | None,
    thresholds: Thresholds,
    train_codes: Codes,
    config: AuditConfig,
    seed: int,
    folder: Path,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Groups, refines, rates and shows regions; writes `regions.npz` and contact sheets; describes them.

    `train_codes` are the codes of the train split, in its order. Regions come in the order in which labels
    are worth most: expected harm, descending. Where no region convinces, a warning says so.
    """
    rated = _regions(misclassifications, resources, judge, thresholds, train_codes, config, seed, reporter)
    write_regions(folder / "output" / "regions.npz", as_arrays(rated, config.tau, train_codes.shape[1]))
    gallery = open_gallery(resources, train_codes, config, folder)
    objects: list[dict[str, Any]] = []
    for index, region in enumerate(rated):
        objects.append(gallery.describe(index, region, misclassifications))
        reporter.progress("distill", len(rated) + index + 1, 2 * len(rated), "steps")
    return objects


def _regions(
    found: Misclassifications,
    resources: Resources,
    judge: Judge | None,
    thresholds: Thresholds,
    train_codes: Codes,
    config: AuditConfig,
    seed: int,
    reporter: Reporter,
) -> list[RatedRegion]:
    device = resources.runtime.device

    # How many regions there are shows in the end: until then this says that the work goes on.
    def on_progress(done: int, total: int) -> None:
        reporter.progress("distill", 0, total, "steps")

    def refined(regions: list[Region], sampler_seed: int) -> Refined:
        sampler = RegionSampler(resources.classifier, resources.decoder, judge, config.tau, sampler_seed)
        return refine(regions, sampler, thresholds, found.codes, config.sheet_samples, device, on_progress)

    grouping = group(found, config, stream_seed(seed, "distill/mixture"), on_progress, device)
    grouped = refined(list(grouping.regions), seed)
    sampled_regions = list(grouped.regions)
    if judge is not None:
        shown = {(one.region.seed_label, one.region.predicted_class) for one in sampled_regions}
        noise = CLOSER * config.noise_scale * latent_spread(train_codes)
        narrow = narrow_regions(found, shown, noise)
        sampled_regions += likeliest(refined(narrow, stream_seed(seed, "distill/narrow")).regions)
    _warn(found, grouping, len(sampled_regions), grouped.unconvincing, reporter)
    count = len(sampled_regions)
    rated = rate(
        sampled_regions,
        resources,
        seed,
        lambda done: reporter.progress("distill", done, 2 * count, "steps"),
    )
    # The sort is stable: equal harm keeps the order of the fit.
    return sorted(rated, key=lambda one: -one.harm.value)


def _warn(
    found: Misclassifications, grouping: Grouping, shown: int, unconvincing: int, reporter: Reporter
) -> None:
    if not shown:
        reporter.warning(
            "NO_REGION",
            f"{len(found)} misclassifications form no region: a region takes {LEAST_CODES} that "
            "lie together, or one around which fresh samples clearly show its mistake; search more seeds or "
            "with more noise",
        )
    if unconvincing:
        reporter.warning(
            "REGIONS_UNCONVINCING",
            f"{unconvincing} of {unconvincing + shown} regions are not "
            "shown: their fresh samples are mostly classified correctly, or the dataset's codes around them "
            "do not say that they show the seed label",
        )
    if grouping.converged < grouping.mixtures:
        reporter.warning(
            "MIXTURE_NOT_CONVERGED",
            f"{grouping.mixtures - grouping.converged} of {grouping.mixtures} mixtures stopped before they "
            "converged; their regions may be split or merged",
        )
