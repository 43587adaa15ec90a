"""The gallery of an audit: contact sheets of bugs and regions, and of the dataset items near them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from defuse_engine.configs import AuditConfig
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.regions.bugs import Bug
from defuse_engine.regions.nearest_codes import NearestCodes
from defuse_engine.regions.rated_regions import RatedRegion
from defuse_engine.run import Run
from defuse_engine.types import Codes, Images, Interval, Misclassifications

_POOL = 40
"""Samples of each cell that those of a bug's sheet are chosen from."""


class Gallery:
    """Writes the sheets that show bugs and regions to people into the job folder."""

    def __init__(self, run: Run, config: AuditConfig):
        """Show regions of an audit with this config."""
        self._inputs, self._folder, self._config = run.inputs, run.folder, config
        self._train_codes = NearestCodes(run.train_codes)
        self._value_range = value_range(run.inputs.dataset)
        self._spread = np.where(run.latent_spread > 0, run.latent_spread, 1.0)

    def _sheet(self, images: Images, file: str) -> dict[str, str | int]:
        return contact_sheet(images, *self._value_range).write(self._folder, f"output/sheets/{file}.png")

    def describe(self, index: int, rated: RatedRegion, found: Misclassifications) -> dict[str, Any]:
        """Write both contact sheets of region `index`; return the region as `result.json` has it."""
        region, shown, train = rated.region, self._config.sheet_samples, self._inputs.dataset.train
        nearest, distances = self._train_codes.to(region.mean, shown)
        return {
            "index": index,
            "weight": region.weight,
            "size": len(region.members),
            "seed_label": region.seed_label,
            "predicted_class": region.predicted_class,
            "confidence": float(found.confidence[region.members].mean(dtype=np.float64)),
            "bug_probability": float(found.bug_probability[region.members].mean(dtype=np.float64)),
            "label_probability": rated.sampled.label_probability,
            "misclassification_rate": asdict(rated.misclassification_rate),
            "harm": asdict(rated.harm),
            "mean": region.mean.tolist(),
            "tau": self._config.tau,
            "sheet": self._sheet(self._inputs.decoder(rated.sampled.codes[:shown]), f"region-{index:03d}"),
            "nearest_sheet": self._sheet(train.images(nearest), f"nearest-{index:03d}"),
            "nearest": self._items(nearest, distances),
        }

    def describe_bug(
        self,
        index: int,
        bug: Bug,
        numbers: Sequence[int],
        regions: Sequence[RatedRegion],
        found: Misclassifications,
        harm: Interval,
        harm_share: float,
    ) -> dict[str, Any]:
        """Write both contact sheets of bug `index`; return the bug as `result.json` has it.

        `regions` are its cells, the largest harm first, and `numbers` theirs. The sheet shows the samples
        that differ most, from as many cells as it has room for, beside the train item nearest to each that
        is not shown yet.
        """
        members = np.concatenate([rated.region.members for rated in regions])
        seeds = np.unique(np.stack([found.seed_split[members], found.seed_index[members]]), axis=1)
        codes, cells = self._most_different(regions)
        items, distances = self._nearest_to_each(codes)
        train = self._inputs.dataset.train
        return {
            "index": index,
            "cells": list(numbers),
            "seed_label": bug.seed_label,
            "predicted_class": bug.predicted_class,
            "seed_count": seeds.shape[1],
            "size": len(members),
            "bug_probability": float(found.bug_probability[members].mean(dtype=np.float64)),
            # Weighted like the mean over the codes above: each cell by its size.
            "label_probability": float(
                np.average(
                    [rated.sampled.label_probability for rated in regions],
                    weights=[len(rated.region.members) for rated in regions],
                )
            ),
            "harm": asdict(harm),
            "harm_share": harm_share,
            "sheet": self._sheet(self._inputs.decoder(codes), f"bug-{index:03d}"),
            "shown_cells": [numbers[cell] for cell in cells],
            "nearest_sheet": self._sheet(train.images(items), f"bug-nearest-{index:03d}"),
            "nearest": self._items(items, distances),
        }

    def _nearest_to_each(self, codes: Codes) -> tuple[Int64[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Return the item nearest to each code that is not taken yet, while there is one; and distances."""
        taken: dict[int, float] = {}
        for code in codes:
            near = zip(*self._train_codes.to(code, len(codes)), strict=True)
            item = next((one for one in near if int(one[0]) not in taken), None)
            if item is not None:
                taken[int(item[0])] = float(item[1])
        return np.array(list(taken), np.int64), np.array(list(taken.values()))

    def _most_different(self, regions: Sequence[RatedRegion]) -> tuple[Codes, list[int]]:
        """Choose samples, and the cell of each: always the one that lies farthest from those chosen.

        No cell gives a second one while another has given none.
        """
        pools = [rated.sampled.codes[:_POOL] for rated in regions]
        codes = np.concatenate(pools)
        cell = np.repeat(np.arange(len(pools)), [len(pool) for pool in pools])
        chosen = [0]
        distances = np.full(len(codes), np.inf)
        for _ in range(min(self._config.sheet_samples, len(codes)) - 1):
            offsets = (codes - codes[chosen[-1]]) / self._spread
            distances = np.minimum(distances, np.linalg.norm(offsets, axis=1))
            given = np.bincount(cell[chosen], minlength=len(pools))[cell]
            # Distances are at least 0, and chosen rows must not come again.
            rank = np.where(given == given.min(), distances, -1.0)
            rank[chosen] = -2.0
            chosen.append(int(rank.argmax()))
        return codes[chosen], cell[chosen].tolist()

    def _items(
        self, items: Int64[np.ndarray, " n"], distances: Float[np.ndarray, " n"]
    ) -> list[dict[str, Any]]:
        labels = self._inputs.dataset.train.labels
        return [
            {
                "split": "train",
                "index": int(item),
                "label": int(labels[item]),
                "distance": float(distance),
            }
            for item, distance in zip(items, distances, strict=True)
        ]


def value_range(dataset: Dataset) -> tuple[float, float]:
    """Return the values that are shown as black and as white."""
    if dataset.train.pixels.dtype == np.uint8:
        return 0.0, 1.0
    low, high = float(dataset.train.pixels.min()), float(dataset.train.pixels.max())
    return (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low, high)
