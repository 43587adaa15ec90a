"""Surroundings: train items with noise around their codes, which lie between a region and the data near it.

A region's samples lie at its heart. Inputs that are misclassified for the same reason lie all around, nearest
to the items that the search started from. If people gave a region the label that its seeds bear, they
confirmed what the search takes for granted: a small step from such an item still shows its label.

The items are those that the audit started from. An evaluation starts its second search from others.
"""

from __future__ import annotations

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.labeled_regions import LabeledRegions, LabeledSamples, answered
from defuse_engine.inputs.dataset import Split
from defuse_engine.inputs.loaded import LoadedInputs
from defuse_engine.search.readers import Readers
from defuse_engine.search.seeds import Seeds

_MOST_ITEMS = 20_000
_MOST_BYTES = 1 << 27


def vouched_seeds(labeled: LabeledRegions, seeds: Seeds) -> Seeds:
    """Return the seeds of the classes that people gave to a confirmed region whose seeds bear them."""
    classes = {
        label.label
        for label in labeled.labels
        if labeled.is_confirmed(label) and labeled.bears_seed_label(label)
    }
    return seeds[np.isin(seeds.labels, sorted(classes))]


def draw_surroundings(
    inputs: LoadedInputs, seeds: Seeds, disputed: DisputedRegions, readers: Readers, rng: np.random.Generator
) -> LabeledSamples:
    """Decode steps from at most 20,000 of `seeds`, which people vouched for (`vouched_seeds`).

    Steps that end in a disputed region are left out, and those without an answer (`answered`).
    """
    image_bytes = 4 * int(np.prod(inputs.dataset.train.images(slice(0, 1)).shape))
    count = min(len(seeds), _MOST_ITEMS, max(1, _MOST_BYTES // image_bytes))
    if count == 0:
        return no_surroundings(inputs.dataset.train)
    chosen = seeds[rng.permutation(len(seeds))[:count]]
    scale = AuditConfig().noise_scale * chosen.codes.std(axis=0, dtype=np.float64)
    codes = (chosen.codes + rng.standard_normal(chosen.codes.shape) * scale).astype(np.float32)
    vouched = ~disputed.hold(codes, chosen.labels)
    images = inputs.decoder(codes[vouched])
    drawn = answered(images, inputs.classifier)
    return LabeledSamples(images[drawn], chosen.labels[vouched][drawn], readers.probabilities(images[drawn]))


def no_surroundings(train: Split) -> LabeledSamples:
    """Return no sample, in the shape of the train split's images."""
    return LabeledSamples(train.images(slice(0, 0)), np.zeros(0, np.int64))
