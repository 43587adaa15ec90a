"""Skill: whether a classifier agrees with the labels beyond chance."""

from __future__ import annotations

import numpy as np

from defuse_engine.errors import PreflightRefused, Reason
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.preflight.likely_cause import likely_cause, pushed_with
from defuse_engine.types import Images, Labels, Outputs

LEAST_KAPPA = 0.2
"""Cohen's kappa up to which agreement with the labels is "slight" (Landis and Koch, Biometrics 33, 1977)."""


def require_skill(classifier: Classifier, images: Images, labels: Labels) -> Outputs:
    """Return the classifier's outputs on images whose labels it agrees with beyond chance.

    Raises `PreflightRefused` with PREFLIGHT_CLASSIFIER_ACCURACY otherwise, and if an output is not finite.
    """
    outputs = classifier(images)
    if not np.isfinite(outputs).all():
        raise PreflightRefused(
            Reason.PREFLIGHT_CLASSIFIER_ACCURACY,
            "the classifier answers NaN or infinite values on the dataset's images. The likely cause is "
            f"wrong preprocessing: it was pushed with {pushed_with(classifier.preprocessing)}",
        )
    predicted = outputs.argmax(axis=1)
    if cohens_kappa(predicted, labels, outputs.shape[1]) <= LEAST_KAPPA:
        raise _near_chance(classifier, images, labels, outputs, float((predicted == labels).mean()))
    return outputs


def cohens_kappa(predicted: Labels, labels: Labels, class_count: int) -> float:
    """Return agreement beyond chance: 0 for guessing or a constant answer, 1 for full agreement.

    J. Cohen, A coefficient of agreement for nominal scales, 1960. Unlike accuracy, it gives no credit for
    always naming the commonest class. A prediction of -1 stands for no answer, and agrees with no label.
    """
    observed = float((predicted == labels).mean())
    answered = predicted[predicted >= 0]
    shares = [np.bincount(values, minlength=class_count) / len(labels) for values in (answered, labels)]
    by_chance = float(shares[0] @ shares[1])
    return 0.0 if by_chance >= 1.0 else (observed - by_chance) / (1.0 - by_chance)


def _near_chance(
    classifier: Classifier, images: Images, labels: Labels, outputs: Outputs, accuracy: float
) -> PreflightRefused:
    commonest = float(np.bincount(labels).max() / len(labels))
    figures: dict[str, float | int | str] = {
        "classifier_accuracy": accuracy,
        "commonest_class_share": commonest,
        "sample_size": len(labels),
        "class_count": outputs.shape[1],
        "value_min": float(images.min()),
        "value_max": float(images.max()),
        "preprocessing": pushed_with(classifier.preprocessing),
    }
    message = (
        f"the classifier is right on {accuracy:.1%} of {len(labels)} validation images, hardly more than by "
        f"chance (the commonest class makes {commonest:.1%}), so an audit would report noise. Likely causes "
        f"are wrong preprocessing (it was pushed with {pushed_with(classifier.preprocessing)}, and the "
        f"images are in [{images.min():g}, {images.max():g}] before that) or another order of the labels."
    )
    if len(np.unique(labels)) == 1:
        message = (
            f"all of {len(labels)} validation images looked at are of class {labels[0]}, so they do not show "
            "whether the classifier tells classes apart. Put items of every class into the validation split"
        )
        return PreflightRefused(Reason.PREFLIGHT_CLASSIFIER_ACCURACY, message, figures)
    cause = likely_cause(classifier, images, labels, outputs)
    return PreflightRefused(
        Reason.PREFLIGHT_CLASSIFIER_ACCURACY, f"{message} {cause}" if cause else message, figures
    )
