"""The likely cause of a classifier that is hardly better than chance: the usual mistakes are tried."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from defuse_engine.models.onnx_model import Classifier
from defuse_engine.types import Images, Labels, Outputs, Preprocessing

_TRIED_IMAGES = 500
_CONVINCING_ACCURACY = 0.5


def likely_cause(classifier: Classifier, images: Images, labels: Labels, outputs: Outputs) -> str | None:
    """Name the change under which most answers are right; None if no usual one helps."""
    matched = _accuracy_in_best_order(outputs.argmax(axis=1), labels, outputs.shape[1])
    if matched > _CONVINCING_ACCURACY:
        return f"With the classes in another order it would be right on {matched:.1%}: check the label order."
    some, of_some = images[:_TRIED_IMAGES], labels[:_TRIED_IMAGES]
    trials = [
        (float((classifier.with_preprocessing(one).predict(some) == of_some).mean()), one)
        for one in _usual(classifier.preprocessing)
    ]
    best, preprocessing = max(trials, key=lambda trial: trial[0])
    if best > _CONVINCING_ACCURACY:
        return f"With {preprocessing} it would be right on {best:.1%}: check the preprocessing."
    return None


def _usual(declared: Preprocessing) -> list[Preprocessing]:
    normalisations = [((0.0,), (1.0,)), ((0.5,), (0.5,)), (declared.mean, declared.std)]
    return [
        replace(declared, scale=scale, mean=mean, std=std)
        for scale in (1.0, 255.0, 1.0 / 255.0)
        for mean, std in normalisations
    ]


def _accuracy_in_best_order(predicted: Labels, labels: Labels, class_count: int) -> float:
    confusion = np.zeros((class_count, class_count), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    present = confusion.any(axis=1)
    favourites = confusion.argmax(axis=1)[present]
    if len(set(favourites.tolist())) < len(favourites):
        return 0.0
    return float(confusion.max(axis=1).sum() / len(labels))
