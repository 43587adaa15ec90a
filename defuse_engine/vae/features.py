"""The features that a training compares: activations of a network that learned the dataset's labels.

They are not those of the classifier under audit. A decoder learns to please whoever is in its loss, and
nobody in the loss may judge its result. So the VAE depends on the dataset alone, and serves every classifier
of it.
"""

from __future__ import annotations

from collections.abc import Callable

from defuse_engine.inputs.dataset import Dataset
from defuse_engine.models.device import Runtime
from defuse_engine.random_streams import numpy_generator
from defuse_engine.readers.own_classifier import OwnClassifier, reader_effort, train_own_classifier


def train_features(
    dataset: Dataset, runtime: Runtime, random_seed: int, on_step: Callable[[int, int], None]
) -> OwnClassifier:
    """Train the network on the train split, augmented; `on_step(done, total)` gets the steps done.

    It takes images (n, C, H, W) and returns activations from shallow to deep, the last log-probabilities.
    """
    effort = reader_effort(len(dataset.train))
    return train_own_classifier(
        dataset.train,
        dataset.train.labels,
        dataset.class_count,
        numpy_generator(random_seed, "vae-features"),
        runtime.device,
        effort,
        on_step=lambda done: on_step(done, effort.steps),
        augment=True,
    )
