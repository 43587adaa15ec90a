"""The readers of reconstructions, and what they see in them.

A decoder that is trained against one classifier can learn to paint what that one wants to see, in images that
show nothing to people. So an independent reader, a classifier of our own that takes no part in the loss,
reads them too when settings are compared.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from defuse_engine.inputs.dataset import Dataset, Split
from defuse_engine.inputs.own_classifier import OwnClassifier, train_own_classifier
from defuse_engine.inputs.preflight import require_skill
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Images, Labels
from defuse_engine.vae.choose_setting import Right

_LEAST_SAMPLE = 64


class Readers:
    """The classifier under audit and an independent reader, on a sample of the validation split."""

    def __init__(self, classifier: Classifier, independent: OwnClassifier, images: Images, labels: Labels):
        """Raises `PreflightRefused` if the classifier is right hardly more often than by chance."""
        self.classifier = classifier
        self.independent = independent
        self.images, self.labels = images, labels
        outputs = require_skill(classifier, images, labels)
        self.right_on_originals: Right = outputs.argmax(axis=1) == labels

    def right(self, reconstructions: Images) -> Right:
        """Tell which reconstructions of `images` the classifier under audit reads as labeled."""
        return self.classifier.predict(reconstructions) == self.labels

    def right_to_independent(self, images: Images) -> Right:
        """Tell which of such images the independent reader reads as labeled."""
        return self.independent.predict(images) == self.labels

    def right_to_all(self, images: Images) -> Right:
        """Tell which of such images the classifier and the independent reader both read as labeled."""
        return self.right(images) & self.right_to_independent(images)

    @cached_property
    def right_to_all_on_originals(self) -> Right:
        """Tell it of the originals."""
        return self.right_to_all(self.images)

    def readability(self, right: Right) -> float:
        """Return the accuracy on reconstructions over that on the originals."""
        return float(right.mean()) / float(self.right_on_originals.mean())


def train_reader(dataset: Dataset, runtime: Runtime, random_seed: int) -> OwnClassifier:
    """Train an independent reader on the train split's labels."""
    train, generator = dataset.train, numpy_generator(random_seed, "vae-witness")
    return train_own_classifier(train, train.labels, dataset.class_count, generator, runtime.device)


def sample(split: Split, most: int, most_bytes: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of at most `most` items, whose images take up to `most_bytes` as float32."""
    affordable = max(_LEAST_SAMPLE, most_bytes // (4 * math.prod(split.pixels.shape[1:])))
    return np.sort(rng.permutation(len(split))[: min(most, affordable)])
