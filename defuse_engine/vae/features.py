"""The features that a training compares: activations of a network that learned the dataset's labels.

They are not those of the classifier under audit. A decoder learns to please whoever is in its loss, and
nobody in the loss may judge its result. So the VAE depends on the dataset alone, and serves every classifier
of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from defuse_engine.inputs.dataset import Dataset
from defuse_engine.models.device import Runtime
from defuse_engine.random_streams import numpy_generator
from defuse_engine.readers.own_classifier import Effort, OwnClassifier, train_own_classifier

_BATCH_SIZE = 128
_EPOCHS = 20
_STEPS = (200, 1_000)
"""Least and most steps."""


def train_features(
    dataset: Dataset, runtime: Runtime, random_seed: int, on_step: Callable[[int], None]
) -> OwnClassifier:
    """Train the network on the train split, augmented; `on_step` gets the number of steps done.

    It takes images (n, C, H, W) and returns activations from shallow to deep, the last log-probabilities.
    """
    steps = int(np.clip(_EPOCHS * len(dataset.train) // _BATCH_SIZE, *_STEPS))
    return train_own_classifier(
        dataset.train,
        dataset.train.labels,
        dataset.class_count,
        numpy_generator(random_seed, "vae-features"),
        runtime.device,
        Effort(steps, _BATCH_SIZE),
        on_step=on_step,
        augment=True,
    )
