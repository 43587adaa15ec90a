"""The gallery of an audit: contact sheets of each region's samples and of the nearest dataset items."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.regions.nearest_codes import NearestCodes
from defuse_engine.regions.rated_regions import RatedRegion
from defuse_engine.run import Run
from defuse_engine.types import Images, Misclassifications


class Gallery:
    """Writes the sheets that show regions to people into the job folder."""

    def __init__(self, run: Run, config: AuditConfig):
        """Show regions of an audit with this config."""
        self._inputs, self._folder, self._config = run.inputs, run.folder, config
        self._train_codes = NearestCodes(run.train_codes)
        self._value_range = value_range(run.inputs.dataset)

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
            "misclassification_rate": asdict(rated.misclassification_rate),
            "harm": asdict(rated.harm),
            "mean": region.mean.tolist(),
            "tau": self._config.tau,
            "sheet": self._sheet(self._inputs.decoder(rated.sampled.codes[:shown]), f"region-{index:03d}"),
            "nearest_sheet": self._sheet(train.images(nearest), f"nearest-{index:03d}"),
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


def value_range(dataset: Dataset) -> tuple[float, float]:
    """Return the values that are shown as black and as white."""
    if dataset.train.pixels.dtype == np.uint8:
        return 0.0, 1.0
    low, high = float(dataset.train.pixels.min()), float(dataset.train.pixels.max())
    return (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low, high)
