"""Step 0 of the method, preflight: whether an audit of these inputs would find anything but noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defuse_engine.errors import PreflightRefused, Reason
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.inputs.likely_cause import (
    cause_of_low_readability,
    likely_cause,
    warn_of_doubtful_preprocessing,
)
from defuse_engine.inputs.loaded import LoadedInputs
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import OUTPUT_KINDS, Described, Images, Labels, OutputKind, Outputs

SAMPLE_SIZE = 2000
LEAST_KAPPA = 0.2
"""Cohen's kappa up to which agreement with the labels is "slight" (Landis and Koch, Biometrics 33, 1977)."""
LEAST_READABILITY = 0.5
LOW_READABILITY = 0.9
TRAIN_COMMAND = "defuse vae train --dataset D --classifier C"
_ROW_SUM_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Preflight(Described):
    """The first figures of an audit."""

    readability: float
    """Accuracy on reconstructions over accuracy on the originals: how far an audit can be trusted."""
    classifier_accuracy: float
    """On the raw inputs, in [0, 1]."""
    reconstruction_accuracy: float
    """On the VAE's reconstructions of the same inputs, in [0, 1]."""
    reconstruction_mse: float
    """Mean over images and pixels."""
    sample_size: int
    value_min: float
    value_max: float
    output_kind: OutputKind
    mean_row_sum: float
    """Mean over the sample of the sum of the classifier's outputs; 1 for probabilities."""
    class_count: int
    latent_std: float
    """Mean over dimensions of the standard deviation of the codes of train items."""


def run_preflight(inputs: LoadedInputs, random_seed: int, reporter: Reporter) -> Preflight:
    """Measure a sample of the validation split, and codes of a sample of the train split.

    Raises `PreflightRefused`: PREFLIGHT_CLASSIFIER_ACCURACY if the classifier agrees with the labels hardly
    more than by chance, PREFLIGHT_READABILITY if it reads fewer than half of the VAE's reconstructions, or
    hardly more than by chance.
    """
    split = inputs.dataset.validation
    rng = numpy_generator(random_seed, "preflight")
    sample = np.sort(rng.permutation(len(split))[:SAMPLE_SIZE])
    images, labels = split.images(sample), split.labels[sample]
    reporter.progress("preflight", 0, len(sample), "items")
    outputs = require_skill(inputs.classifier, images, labels)
    accuracy = float((outputs.argmax(axis=1) == labels).mean())
    reconstructions = inputs.decoder(inputs.encoder(images))
    finite = finite_items(reconstructions)
    read_as = inputs.classifier.predict(np.nan_to_num(reconstructions, posinf=0.0, neginf=0.0))
    read = float(((read_as == labels) & finite).mean())
    preflight = Preflight(
        readability=read / accuracy,
        classifier_accuracy=accuracy,
        reconstruction_accuracy=read,
        reconstruction_mse=_mean_square(reconstructions[finite] - images[finite]),
        sample_size=len(sample),
        value_min=float(images.min()),
        value_max=float(images.max()),
        output_kind=inputs.classifier.output_kind,
        mean_row_sum=float(outputs.sum(axis=1, dtype=np.float64).mean()),
        class_count=outputs.shape[1],
        latent_std=_latent_std(inputs, rng),
    )
    reporter.progress("preflight", len(sample), len(sample), "items")
    _check_output_kind(preflight, outputs, reporter)
    warn_of_doubtful_preprocessing(inputs.classifier, images, labels, outputs, reporter)
    kappa = cohens_kappa(np.where(finite, read_as, -1), labels, outputs.shape[1])
    cause = ""
    if preflight.readability < LOW_READABILITY or kappa <= LEAST_KAPPA:
        cause = cause_of_low_readability(inputs.classifier, inputs.encoder, inputs.decoder, images, labels)
    _check_readability(preflight, kappa, int((~finite).sum()), cause, reporter)
    return preflight


def _mean_square(differences: Images) -> float:
    return float(np.mean(differences**2, dtype=np.float64)) if len(differences) else 0.0


def require_skill(classifier: Classifier, images: Images, labels: Labels) -> Outputs:
    """Return the classifier's outputs on images whose labels it agrees with beyond chance.

    Raises `PreflightRefused` with PREFLIGHT_CLASSIFIER_ACCURACY otherwise, and if an output is not finite.
    """
    outputs = classifier(images)
    if not np.isfinite(outputs).all():
        raise PreflightRefused(
            Reason.PREFLIGHT_CLASSIFIER_ACCURACY,
            "the classifier answers NaN or infinite values on the dataset's images. The likely cause is "
            f"wrong preprocessing ({classifier.preprocessing})",
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
        "preprocessing": str(classifier.preprocessing),
    }
    message = (
        f"the classifier is right on {accuracy:.1%} of {len(labels)} validation images, hardly more than by "
        f"chance (the commonest class makes {commonest:.1%}), so an audit would report noise. Likely causes "
        "are wrong preprocessing (scale, mean, std, layout; declared is "
        f"{classifier.preprocessing}, images are in [{images.min():g}, {images.max():g}] before "
        "it) or another order of the labels."
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


def _latent_std(inputs: LoadedInputs, rng: np.random.Generator) -> float:
    train = inputs.dataset.train
    sample = np.sort(rng.permutation(len(train))[:SAMPLE_SIZE])
    codes = inputs.encoder(train.images(sample))
    # Codes that are not finite are an error of the encoding that follows, which says more.
    codes = codes[finite_items(codes)]
    return float(codes.std(axis=0, dtype=np.float64).mean()) if len(codes) else 0.0


def _check_output_kind(preflight: Preflight, outputs: Outputs, reporter: Reporter) -> None:
    in_range = float(outputs.min()) >= 0.0 and float(outputs.max()) <= 1.0 + _ROW_SUM_TOLERANCE
    sums_to_one = bool(np.all(np.abs(outputs.sum(axis=1) - 1.0) <= _ROW_SUM_TOLERANCE))
    looks_like = OUTPUT_KINDS[1] if in_range and sums_to_one else OUTPUT_KINDS[0]
    if looks_like != preflight.output_kind:
        reporter.warning(
            "OUTPUT_KIND_MISMATCH",
            f"output_kind is declared as {preflight.output_kind}, but the outputs look like {looks_like} "
            f"(from {outputs.min():g} to {outputs.max():g}, a row sums to {preflight.mean_row_sum:g} on "
            "average). Predictions hold, confidences do not",
        )


def _check_readability(
    preflight: Preflight, kappa: float, not_finite: int, cause: str, reporter: Reporter
) -> None:
    """Refuse or warn; `kappa` is the agreement of the classifier's readings with the labels.

    With two classes, a decoder of noise gets half of the readings right, and more if one class is common.
    """
    by_chance = kappa <= LEAST_KAPPA
    if preflight.readability >= LOW_READABILITY and not by_chance:
        return
    told = (
        f"readability is {preflight.readability:.2f}: the classifier is right on "
        f"{preflight.classifier_accuracy:.1%} of the images, but on "
        f"{preflight.reconstruction_accuracy:.1%} of the VAE's reconstructions of them"
    )
    if not_finite:
        told += f" ({not_finite} of {preflight.sample_size} hold NaN or infinite values)"
    if preflight.readability < LEAST_READABILITY or by_chance:
        bar = "hardly more than by chance" if by_chance else f"below {LEAST_READABILITY}"
        raise PreflightRefused(
            Reason.PREFLIGHT_READABILITY,
            f"{told}, {bar}. A search would find the VAE's blur. {cause}Check the VAE's preprocessing, "
            f"or train a VAE that the classifier can read: {TRAIN_COMMAND}",
            dict(preflight.to_json()),
        )
    reporter.warning(
        "LOW_READABILITY",
        f"{told}, below {LOW_READABILITY}. Some of what is found shows the VAE's blur, not the classifier's "
        f"bugs. {cause}To train a VAE that the classifier can read: {TRAIN_COMMAND}",
    )
