"""Gold sheets: validation items whose label is known, shown as if they were a region's samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.inputs.encode import encode_split
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.regions.gallery import value_range
from defuse_engine.regions.nearest_codes import NearestCodes
from defuse_engine.run import Run


def write_gold_sheets(run: Run, config: AuditConfig) -> list[dict[str, Any]]:
    """Write `config.gold_sheets` sheets for each class that has validation items; return their descriptions.

    A sheet shows a random item and the items of its class that are nearest to it in latent space. They look
    alike, as a region's samples do. A second sheet shows the train items nearest to them.
    """
    if config.gold_sheets == 0:
        return []
    dataset = run.inputs.dataset
    codes = encode_split(run.inputs.encoder, dataset.validation, run.reporter)
    rng = run.generator("gold")
    of_train = NearestCodes(run.train_codes)
    described: list[dict[str, Any]] = []
    for label in np.unique(dataset.validation.labels).tolist():
        items = np.flatnonzero(dataset.validation.labels == label)
        of_class = NearestCodes(codes[items])
        for anchor in rng.choice(items, size=min(config.gold_sheets, len(items)), replace=False):
            alike, _ = of_class.to(codes[anchor], config.sheet_samples)
            chosen = items[alike]
            near, _ = of_train.to(codes[chosen].mean(axis=0), config.sheet_samples)
            sheets = {"sheet": dataset.validation.images(chosen), "nearest_sheet": dataset.train.images(near)}
            number = len(described)
            described.append(
                {"label": label}
                | {
                    kind: contact_sheet(images, *value_range(dataset)).write(
                        run.folder, f"output/sheets/gold-{number:03d}-{kind}.png"
                    )
                    for kind, images in sheets.items()
                }
            )
    return described
