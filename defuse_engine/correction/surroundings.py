"""Train items with noise around their codes: what lies between a region and the data it is near.

A region's samples lie at its heart. Inputs that are misclassified for the same reason lie all around, nearest
to the items that the search started from. Where people gave a region the label that its seeds bear, they
confirmed what the search takes for granted: that a small step from such an item still shows its label.

The items are those that the audit started from: an evaluation starts its second search from others.
"""

from __future__ import annotations

import numpy as np

from defuse_engine.configs import AuditConfig, RegionLabel
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.labeled_regions import LabeledSamples, answered, is_confirmed
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.search.seeds import Seeds
from defuse_engine.search.readers import Witness
from defuse_engine.types import Regions

_MOST_ITEMS = 20_000
_MOST_BYTES = 1 << 28


def vouched_seeds(labels: tuple[RegionLabel, ...], regions: Regions, seeds: Seeds) -> Seeds:
    """The seeds of the classes that people gave to a confirmed region whose seeds bear them."""
    classes = {
        label.label
        for label in labels
        if is_confirmed(label, regions) and label.label == int(regions.seed_labels[label.region])
    }
    return seeds[np.isin(seeds.labels, sorted(classes))]


def draw_surroundings(
    seeds: Seeds,
    disputed: DisputedRegions,
    decoder: Decoder,
    classifier: Classifier,
    witness: Witness,
    train: Split,
    rng: np.random.Generator,
) -> LabeledSamples:
    """Decoded steps from at most 20,000 items of `train` that people vouched for (`vouched_seeds`).

    Those that end in a disputed region are left out, and those that get no answer (`answered`).
    """
    image_bytes = 4 * int(np.prod(train.images(slice(0, 1)).shape))
    count = min(len(seeds), _MOST_ITEMS, max(1, _MOST_BYTES // image_bytes))
    if count == 0:
        return no_surroundings(train)
    chosen = seeds[rng.permutation(len(seeds))[:count]]
    scale = AuditConfig().noise_scale * chosen.codes.std(axis=0, dtype=np.float64)
    codes = (chosen.codes + rng.standard_normal(chosen.codes.shape) * scale).astype(np.float32)
    vouched = ~disputed.hold(codes, chosen.labels)
    images = decoder(codes[vouched])
    drawn = answered(images, classifier)
    return LabeledSamples(images[drawn], chosen.labels[vouched][drawn], witness.probabilities(images[drawn]))


def no_surroundings(train: Split) -> LabeledSamples:
    """None: where no label vouches for a class, or `preset: paper` asks for none."""
    return LabeledSamples(train.images(slice(0, 0)), np.zeros(0, np.int64))
