"""Who reads the reconstructions, and what it sees in them.

A decoder that is trained against one classifier can learn to paint what that one wants to see, in images that
show nothing to people. So a witness, a classifier of our own that takes no part in the loss, reads them too
when settings are compared.
"""

from __future__ import annotations

import math

import numpy as np
from torch import nn

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.inputs.dataset import Dataset, Split
from defuse_engine.inputs.own_classifier import OwnClassifier, train_own_classifier
from defuse_engine.inputs.preflight import require_skill
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.device import Runtime
from defuse_engine.models.torch_form.differentiable import input_differentiable
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Images, Labels
from defuse_engine.vae.choose_setting import Right
from defuse_engine.vae.features import Features

_LEAST_SAMPLE = 64


class Reader:
    """The classifier under audit and the witness, on a sample of the validation split."""

    def __init__(self, classifier: Classifier, witness: OwnClassifier, images: Images, labels: Labels):
        """Raises PreflightRefused where the classifier is right hardly more often than by chance."""
        self.classifier = classifier
        self.witness = witness
        self.images, self.labels = images, labels
        outputs = require_skill(classifier, images, labels)
        self.right_on_originals: Right = outputs.argmax(axis=1) == labels

    @property
    def accuracy(self) -> float:
        """On the originals, in (0, 1]."""
        return float(self.right_on_originals.mean())

    def right(self, reconstructions: Images) -> Right:
        """Which reconstructions of `images` are classified as labeled."""
        return self.classifier.predict(reconstructions) == self.labels

    def right_to_witness(self, images: Images) -> Right:
        """Which of such images the witness classifies as labeled."""
        return self.witness.predict(images) == self.labels

    def readability(self, right: Right) -> float:
        """Accuracy on reconstructions over accuracy on the originals."""
        return float(right.mean()) / self.accuracy


def open_features(
    model_bytes: bytes,
    classifier: Classifier,
    dataset: Dataset,
    runtime: Runtime,
    seed: int,
    reporter: Reporter,
) -> nn.Module:
    """Return the classifier's features; those of a classifier of our own where it has no gradient."""
    try:
        model = input_differentiable(model_bytes, classifier.output.name)
        return Features(model, classifier.preprocessing, classifier.output_kind).to(runtime.device)
    except InvalidModel as error:
        if error.reason is not Reason.MODEL_NOT_DIFFERENTIABLE:
            raise
        operations = str(error.figures.get("operations", "unknown"))
    reporter.warning(
        "FEATURES_OF_OWN_CLASSIFIER",
        f"the classifier has no gradient (operation {operations}): the loss uses the features of a small "
        "classifier trained on its predictions; readability is still that of the classifier under audit",
    )
    predicted = _predicted(classifier, dataset.train)
    return train_own_classifier(
        dataset.train,
        predicted,
        max(dataset.class_count, int(predicted.max()) + 1),
        numpy_generator(seed, "vae-own-classifier"),
        runtime.device,
    )


def open_witness(dataset: Dataset, runtime: Runtime, seed: int) -> OwnClassifier:
    """Train a classifier on the train split's labels."""
    train, generator = dataset.train, numpy_generator(seed, "vae-witness")
    return train_own_classifier(train, train.labels, dataset.class_count, generator, runtime.device)


def sample(split: Split, most: int, most_bytes: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of at most `most` items, whose images take up to `most_bytes` as float32."""
    affordable = max(_LEAST_SAMPLE, most_bytes // (4 * math.prod(split.pixels.shape[1:])))
    return np.sort(rng.permutation(len(split))[: min(most, affordable)])


def _predicted(classifier: Classifier, split: Split) -> Labels:
    batches = split.batches(np.arange(len(split)), classifier.batch_size)
    return np.concatenate([classifier.predict(images) for _, images in batches])
