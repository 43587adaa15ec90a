"""The witness: a second classifier, of our own, that says what it sees in a candidate.

It fits the train split's labels alone. Its mistakes are not those of the classifier under audit: where both
see the same, the step probably walked into another class; where it sees what the seed shows, the classifier
is probably wrong.
"""

from __future__ import annotations

import math

import numpy as np

from defuse_engine.inputs.own_classifier import Effort, OwnClassifier, train_own_classifier
from defuse_engine.inputs.resources import Resources
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.seeding import numpy_generator
from defuse_engine.types import Codes

_BATCH_SIZE = 128
_EPOCHS = 20
_STEPS = (400, 1_500)
"""At least, and at most: little data is seen often, of much not all."""
_REDRAWN = 5_000
"""Train items that it also sees as the VAE draws them: candidates look like that."""
_REDRAWN_BYTES = 1 << 28


def train_witness(resources: Resources, codes: Codes, seed: int, reporter: Reporter) -> OwnClassifier:
    """Train it on the train split, whose `codes` are known; the same for the same seed."""
    dataset, generator = resources.dataset, numpy_generator(seed, "witness")
    affordable = max(1, _REDRAWN_BYTES // (4 * math.prod(dataset.image_shape)))
    steps = int(np.clip(_EPOCHS * len(codes) // _BATCH_SIZE, *_STEPS))
    some = np.sort(generator.permutation(len(codes))[: min(_REDRAWN, affordable)])
    return train_own_classifier(
        dataset.train,
        dataset.train.labels,
        dataset.class_count,
        generator,
        resources.runtime.device,
        Effort(steps, _BATCH_SIZE),
        (resources.decoder(codes[some]), dataset.train.labels[some]),
        lambda done: reporter.progress("neighbourhood", done, steps, "steps"),
    )
