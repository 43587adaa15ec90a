"""Gold sheets: validation items whose label is known, shown as if they were a region's samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.regions.gallery import value_range
from defuse_engine.regions.nearest_codes import NearestCodes
from defuse_engine.search.seeds import encode_split
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Codes


def write_gold_sheets(
    resources: Resources, train_codes: Codes, config: AuditConfig, seed: int, folder: Path, reporter: Reporter
) -> list[dict[str, Any]]:
    """Write `config.gold_sheets` sheets for each class that has validation items; returns their descriptions.

    A sheet shows an item drawn at random and those of its class that are nearest to it in latent space, so
    that they look alike, as a region's samples do. Beside it goes a sheet of the train items nearest to them.
    """
    if config.gold_sheets == 0:
        return []
    dataset = resources.dataset
    codes = encode_split(resources.encoder, dataset.validation, reporter)
    rng = numpy_generator(seed, "gold")
    of_train = NearestCodes(train_codes)
    described: list[dict[str, Any]] = []
    for label in np.unique(dataset.validation.labels).tolist():
        items = np.flatnonzero(dataset.validation.labels == label)
        of_class = NearestCodes(codes[items])
        for anchor in rng.choice(items, size=min(config.gold_sheets, len(items)), replace=False):
            alike, _ = of_class.to(codes[anchor], config.sheet_samples)
            chosen = items[alike]
            near, _ = of_train.to(codes[chosen].mean(axis=0), config.sheet_samples)
            sheets = {
                "sheet": dataset.validation.images(chosen),
                "nearest_sheet": dataset.train.images(near),
            }
            number = len(described)
            described.append(
                {"label": label}
                | {
                    kind: contact_sheet(images, *value_range(dataset)).write(
                        folder, f"output/sheets/gold-{number:03d}-{kind}.png"
                    )
                    for kind, images in sheets.items()
                }
            )
    return described
