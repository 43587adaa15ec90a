"""Train items with noise around their codes: what lies between a region and the data it is near.

A region's samples lie at its heart. Inputs that are misclassified for the same reason lie all around, nearest
to the items that the search started from. Where people gave a region the label that its seeds bear, they
confirmed what the search takes for granted: that a small step from such an item still shows its label.
"""

from __future__ import annotations

import numpy as np

from defuse_engine.configs import AuditConfig, RegionLabel
from defuse_engine.correction.labeled_regions import RegionSamples, is_confirmed
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.onnx_model import Decoder, Encoder
from defuse_engine.types import Labels, Regions

_MOST_ITEMS = 20_000
_MOST_BYTES = 1 << 28
NO_REGION = -1


def vouched_classes(labels: tuple[RegionLabel, ...], regions: Regions) -> Labels:
    """The classes that people gave to a confirmed region whose seeds bear them."""
    vouched = {
        label.label
        for label in labels
        if is_confirmed(label, regions) and label.label == int(regions.seed_labels[label.region])
    }
    return np.array(sorted(vouched), np.int64)


def draw_company(
    classes: Labels,
    encoder: Encoder,
    decoder: Decoder,
    train: Split,
    rng: np.random.Generator,
) -> RegionSamples:
    """Decoded steps from at most 20,000 train items; of no region.

    `classes` are those that people vouched for (`vouched_classes`).
    """
    rows = np.flatnonzero(np.isin(train.labels, classes))
    image_bytes = 4 * int(np.prod(train.images(slice(0, 1)).shape))
    count = min(len(rows), _MOST_ITEMS, max(1, _MOST_BYTES // image_bytes))
    if count == 0:
        return no_company(train)
    chosen = np.sort(rng.permutation(rows)[:count])
    codes = encoder(train.images(chosen))
    scale = AuditConfig().noise_scale * codes.std(axis=0, dtype=np.float64)
    noise = rng.standard_normal(codes.shape) * scale
    return RegionSamples(
        images=decoder((codes + noise).astype(np.float32)),
        labels=train.labels[chosen],
        regions=np.full(count, NO_REGION, np.int64),
    )


def no_company(train: Split) -> RegionSamples:
    """None: where no label vouches for a class, or `preset: paper` asks for none."""
    return RegionSamples(train.images(slice(0, 0)), np.zeros(0, np.int64), np.zeros(0, np.int64))
