"""Step 2, distill: misclassified codes become regions that people can look at and label."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64

from defuse_engine.configs import LEAST_CODES, AuditConfig
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.inputs.resources import Resources
from defuse_engine.intervals import wilson
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Decoder
from defuse_engine.regions.grouping import Grouping, Region, group
from defuse_engine.regions.harm import aggregate_posterior, expected_harm
from defuse_engine.regions.impression import Impression, Looker
from defuse_engine.regions.regions_file import write_regions
from defuse_engine.regions.settle import Settled, settle
from defuse_engine.search.bars import Bars
from defuse_engine.search.belief import Judge
from defuse_engine.seeding import numpy_generator, stream_seed
from defuse_engine.types import Codes, Images, Interval, Misclassifications, Regions


@dataclass(frozen=True)
class RatedRegion:
    """A region, fresh samples of it, how many of them are misclassified, and what harm is expected of it."""

    impression: Impression
    misclassification_rate: Interval
    """Share of fresh samples that are classified as anything but the seed label."""
    harm: Interval

    @property
    def region(self) -> Region:
        """The region itself."""
        return self.impression.region


def run(
    *,
    misclassifications: Misclassifications,
    resources: Resources,
    judge: Judge | None,
    bars: Bars,
    train_codes: Codes,
    config: AuditConfig,
    seed: int,
    folder: Path,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Groups, settles, rates and shows regions; writes `regions.npz` and contact sheets; describes them.

    `train_codes` are the codes of the train split, in its order. Regions come in the order in which labels
    are worth most: expected harm, descending. Too few misclassifications give no region and a warning.
    """
    rated = _regions(misclassifications, resources, judge, bars, config, seed, reporter)
    write_regions(folder / "output" / "regions.npz", _as_arrays(rated, config.tau, train_codes.shape[1]))
    gallery = _Gallery(
        resources.decoder, resources.dataset, train_codes, value_range(resources.dataset), config, folder
    )
    objects: list[dict[str, Any]] = []
    for index, region in enumerate(rated):
        objects.append(_describe(index, region, misclassifications, gallery))
        reporter.progress("distill", len(rated) + index + 1, 2 * len(rated), "steps")
    return objects


def _regions(
    found: Misclassifications,
    resources: Resources,
    judge: Judge | None,
    bars: Bars,
    config: AuditConfig,
    seed: int,
    reporter: Reporter,
) -> list[RatedRegion]:
    device = resources.runtime.device

    # How many regions there are shows in the end: until then this says that the work goes on.
    def on_progress(done: int, total: int) -> None:
        reporter.progress("distill", 0, total, "steps")

    grouping = group(found, config, stream_seed(seed, "distill/mixture"), on_progress, device)
    looker = Looker(resources.classifier, resources.decoder, judge, config.tau, seed)
    settled = settle(
        list(grouping.regions), looker, bars, found.codes, config.sheet_samples, device, on_progress
    )
    _warn(found, grouping, settled, reporter)
    rng = numpy_generator(seed, "distill/aggregate-posterior")
    production = aggregate_posterior(resources.encoder, resources.dataset.train, rng)
    rated: list[RatedRegion] = []
    for number, impression in enumerate(settled.impressions):
        rate = wilson(int(impression.wrong.sum()), len(impression.wrong))
        harm = expected_harm(impression.region, rate, production, device)
        rated.append(RatedRegion(impression, rate, harm))
        reporter.progress("distill", number + 1, 2 * len(settled.impressions), "steps")
    # The sort is stable: equal harm keeps the order of the fit.
    return sorted(rated, key=lambda one: -one.harm.value)


def _warn(found: Misclassifications, grouping: Grouping, settled: Settled, reporter: Reporter) -> None:
    if not settled.impressions:
        reporter.warning(
            "NO_REGION",
            f"{len(found)} misclassifications form no region: a region takes {LEAST_CODES} that "
            "lie together and show the same mistake; search more seeds or with more noise",
        )
    if settled.unconvincing:
        reporter.warning(
            "REGIONS_UNCONVINCING",
            f"{settled.unconvincing} of {settled.unconvincing + len(settled.impressions)} regions are not "
            "shown: their fresh samples are mostly classified correctly, or the dataset's codes around them "
            "do not say that they show the seed label",
        )
    if grouping.converged < grouping.mixtures:
        reporter.warning(
            "MIXTURE_NOT_CONVERGED",
            f"{grouping.mixtures - grouping.converged} of {grouping.mixtures} mixtures stopped before they "
            "converged; their regions may be split or merged",
        )


@dataclass(frozen=True)
class _Gallery:
    """What regions are shown with, and where."""

    decoder: Decoder
    dataset: Dataset
    train_codes: Codes
    value_range: tuple[float, float]
    config: AuditConfig
    folder: Path

    def sheet(self, images: Images, file: str) -> dict[str, str | int]:
        return contact_sheet(images, *self.value_range).write(self.folder, f"output/sheets/{file}.png")


def _describe(index: int, rated: RatedRegion, found: Misclassifications, gallery: _Gallery) -> dict[str, Any]:
    region, shown, train = rated.region, gallery.config.sheet_samples, gallery.dataset.train
    nearest, distances = nearest_items(region.mean, gallery.train_codes, shown)
    return {
        "index": index,
        "weight": region.weight,
        "size": len(region.members),
        "seed_label": region.seed_label,
        "predicted_class": region.predicted_class,
        "confidence": float(found.confidence[region.members].mean(dtype=np.float64)),
        "bug_probability": float(found.bug_probability[region.members].mean(dtype=np.float64)),
        "misclassification_rate": asdict(rated.misclassification_rate),
        "harm": asdict(rated.harm),
        "mean": region.mean.tolist(),
        "tau": gallery.config.tau,
        "sheet": gallery.sheet(gallery.decoder(rated.impression.codes[:shown]), f"region-{index:03d}"),
        "nearest_sheet": gallery.sheet(train.images(nearest), f"nearest-{index:03d}"),
        "nearest": [
            {
                "split": "train",
                "index": int(item),
                "label": int(train.labels[item]),
                "distance": float(distance),
            }
            for item, distance in zip(nearest, distances, strict=True)
        ],
    }


def nearest_items(
    mean: Float[np.ndarray, " d"], codes: Codes, count: int
) -> tuple[Int64[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
    """The items whose codes are nearest to a mean: indices and Euclidean distances, the nearest first."""
    offsets = codes - mean.astype(np.float32)
    squares = np.einsum("nd,nd->n", offsets, offsets)
    nearest = np.argpartition(squares, min(count, len(squares)) - 1)[:count]
    nearest = nearest[np.argsort(squares[nearest], kind="stable")]
    return nearest.astype(np.int64), np.sqrt(squares[nearest])


def value_range(dataset: Dataset) -> tuple[float, float]:
    """What is shown as black and as white."""
    if dataset.train.pixels.dtype == np.uint8:
        return 0.0, 1.0
    low, high = float(dataset.train.pixels.min()), float(dataset.train.pixels.max())
    return (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low, high)


def _as_arrays(rated: list[RatedRegion], tau: float, latent_size: int) -> Regions:
    regions = [one.region for one in rated]
    sizes = np.array([len(region.members) for region in regions], np.int64)
    empty = np.zeros(0, np.int64)
    return Regions(
        weights=np.array([region.weight for region in regions], np.float64),
        means=np.array([region.mean for region in regions], np.float64).reshape(-1, latent_size),
        covariances=np.array([region.covariance for region in regions], np.float64).reshape(
            -1, latent_size, latent_size
        ),
        seed_labels=np.array([region.seed_label for region in regions], np.int32),
        predicted_classes=np.array([region.predicted_class for region in regions], np.int32),
        sizes=sizes,
        member_offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        members=np.concatenate([empty, *(region.members for region in regions)]),
        tau=tau,
    )
