"""The features that take part in the loss, and the readers of reconstructions, which take none."""

from __future__ import annotations

import math

import numpy as np
from torch import nn

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.inputs.dataset import Dataset, Split
from defuse_engine.inputs.independent_readers import IndependentReaders
from defuse_engine.inputs.own_classifier import train_own_classifier
from defuse_engine.inputs.readability import SampleReaders
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.models.torch_form.differentiable import input_differentiable
from defuse_engine.random_streams import numpy_generator
from defuse_engine.vae.features import Features

Readers = SampleReaders
"""The classifier under audit, and independent readers that take no part in the loss, on validation items."""
_LEAST_SAMPLE = 64


def open_features(
    classifier: Classifier, dataset: Dataset, random_seed: int, reporter: Reporter
) -> nn.Module:
    """Return the classifier's features, or those of a classifier of our own if it has no gradient."""
    device = classifier.session.runtime.device
    try:
        model = input_differentiable(classifier.session.model_bytes, classifier.output.name)
        return Features(model, classifier.preprocessing, classifier.output_kind).to(device)
    except InvalidModel as error:
        if error.reason is not Reason.MODEL_NOT_DIFFERENTIABLE:
            raise
        operations = str(error.figures.get("operations", "unknown"))
    reporter.warning(
        "FEATURES_OF_OWN_CLASSIFIER",
        f"the classifier has no gradient (operation {operations}). The loss uses the features of a small "
        "classifier trained on its predictions instead. Readability is still that of the classifier under "
        "audit",
    )
    predicted = dataset.train.map(classifier.predict, classifier.session.batch_size)
    return train_own_classifier(
        dataset.train,
        predicted,
        max(dataset.class_count, int(predicted.max()) + 1),
        numpy_generator(random_seed, "vae-own-classifier"),
        device,
    )


def independent_readers(
    dataset: Dataset, runtime: Runtime, random_seed: int, reporter: Reporter
) -> IndependentReaders:
    """Return readers that take no part in the loss; others than those of an audit with the same seed."""
    return IndependentReaders(
        dataset,
        runtime,
        random_seed,
        lambda done, total: reporter.progress("preflight", done, total, "steps"),
        stage="vae-held-out",
    )


def sample(split: Split, most: int, most_bytes: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of at most `most` items, whose images take up to `most_bytes` as float32."""
    affordable = max(_LEAST_SAMPLE, most_bytes // (4 * math.prod(split.pixels.shape[1:])))
    return np.sort(rng.permutation(len(split))[: min(most, affordable)])
