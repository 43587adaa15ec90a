"""Step 0 of the method, preflight: whether an audit of these inputs would find anything but noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from defuse_engine.errors import PreflightRefused, Reason
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.inputs.loaded import LoadedInputs
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.preflight.likely_cause import cause_of_low_readability, warn_of_doubtful_preprocessing
from defuse_engine.preflight.readability import (
    LEAST_READABILITY,
    LOW_FLATTERY,
    LOW_READABILITY,
    MOST_FLATTERY,
    Readability,
    SampleReaders,
    told_flattery,
)
from defuse_engine.preflight.skill import LEAST_KAPPA, cohens_kappa
from defuse_engine.random_streams import numpy_generator
from defuse_engine.readers.independent_readers import IndependentReaders
from defuse_engine.types import OUTPUT_KINDS, Described, Images, Interval, OutputKind, Outputs

SAMPLE_SIZE = 2000
_TRAIN = "defuse vae train --dataset D --classifier C"
_ROW_SUM_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Preflight(Described):
    """The first figures of an audit."""

    readability: float
    """The worst of the classifier's and the independent readers': how far an audit can be trusted."""
    classifier_readability: Interval
    independent_readability: Interval | None
    flattery: Interval | None
    readability_summary: str
    """What these say, in a sentence."""
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

    def figures(self) -> dict[str, float | int | str]:
        """Return the figures of a failure: of an interval, its value alone."""
        figures = {key: value for key, value in vars(self).items() if key != "readability_summary"}
        return {
            key: value.value if isinstance(value, Interval) else value
            for key, value in figures.items()
            if value is not None
        }


def run_preflight(
    inputs: LoadedInputs,
    independent: IndependentReaders,
    random_seed: int,
    reporter: Reporter,
    show: Callable[[dict[str, Any]], None],
) -> Preflight:
    """Measure a sample of the validation split, and codes of a sample of the train split.

    `show` gets the figures when the classifier has been asked, and again when the independent readers have,
    even if they refuse the audit.

    Raises `PreflightRefused`: PREFLIGHT_CLASSIFIER_ACCURACY if the classifier agrees with the labels hardly
    more than by chance; PREFLIGHT_READABILITY if it reads the reconstructions hardly more than by chance, or
    if it or an independent reader reads less than half of what it read before; PREFLIGHT_FLATTERY if more
    than a quarter of the reconstructions please the classifier alone. The independent readers, whose training
    takes longest, are asked last.
    """
    split = inputs.dataset.validation
    rng = numpy_generator(random_seed, "preflight")
    sample = np.sort(rng.permutation(len(split))[:SAMPLE_SIZE])
    images, labels = split.images(sample), split.labels[sample]
    reporter.progress("preflight", 0, len(sample), "items")
    readers = SampleReaders(inputs.classifier, independent, images, labels)
    outputs = readers.outputs
    reconstructions = inputs.decoder(inputs.encoder(images))
    finite = finite_items(reconstructions)
    read = readers.read_alone(reconstructions)
    preflight = Preflight(
        **read.figures,
        classifier_accuracy=float(readers.right_on_originals.mean()),
        reconstruction_accuracy=float(read.right_to_all.mean()),
        reconstruction_mse=_mean_square(reconstructions[finite] - images[finite]),
        sample_size=len(sample),
        value_min=float(images.min()),
        value_max=float(images.max()),
        output_kind=inputs.classifier.output_kind,
        mean_row_sum=float(outputs.sum(axis=1, dtype=np.float64).mean()),
        class_count=outputs.shape[1],
        latent_std=_latent_std(inputs, rng),
    )
    show(preflight.to_json())
    _check_output_kind(preflight, outputs, reporter)
    warn_of_doubtful_preprocessing(inputs.classifier, images, labels, outputs, reporter)
    advice = _advice(inputs.vae_is_ours)
    kappa = cohens_kappa(read.read_as, labels, outputs.shape[1])
    cause = ""
    if read.is_low or kappa <= LEAST_KAPPA:
        cause = cause_of_low_readability(inputs.classifier, inputs.encoder, inputs.decoder, images, labels)
    _check_alone(preflight, kappa, int((~finite).sum()), cause, advice)
    readers.warn_of_unable(reporter)
    read = readers.read(reconstructions, read)
    preflight = replace(preflight, **read.figures)
    show(preflight.to_json())
    reporter.progress("preflight", len(sample), len(sample), "items")
    _check(read, preflight, cause, advice, reporter)
    return preflight


def _mean_square(differences: Images) -> float:
    return float(np.mean(differences**2, dtype=np.float64)) if len(differences) else 0.0


def _advice(vae_is_ours: bool) -> str:
    if vae_is_ours:
        return f"train a VAE for longer than this one was: {_TRAIN} --budget-s SECONDS"
    return f"train a VAE that is readable: {_TRAIN}"


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


def _check_alone(preflight: Preflight, kappa: float, not_finite: int, cause: str, advice: str) -> None:
    """Refuse what the classifier itself cannot read; `kappa` is its agreement with the labels there.

    With two classes, a decoder of noise gets half of the readings right, and more if one class is common.
    """
    by_chance = kappa <= LEAST_KAPPA
    if preflight.classifier_readability.value >= LEAST_READABILITY and not by_chance:
        return
    told = (
        f"readability is {preflight.readability:.2f}: the classifier is right on "
        f"{preflight.classifier_accuracy:.1%} of the images, but on "
        f"{preflight.reconstruction_accuracy:.1%} of the VAE's reconstructions of them"
    )
    if not_finite:
        told += f" ({not_finite} of {preflight.sample_size} hold NaN or infinite values)"
    bar = "hardly more than by chance" if by_chance else f"below {LEAST_READABILITY}"
    raise PreflightRefused(
        Reason.PREFLIGHT_READABILITY,
        f"{told}, {bar}. A search would find the VAE's blur. {cause}Check the VAE's preprocessing, "
        f"or {advice}",
        preflight.figures(),
    )


def _check(read: Readability, preflight: Preflight, cause: str, advice: str, reporter: Reporter) -> None:
    """Refuse or warn of what the independent readers found."""
    flattery = read.flattery
    if flattery is not None and flattery.value > MOST_FLATTERY:
        raise PreflightRefused(
            Reason.PREFLIGHT_FLATTERY,
            f"{told_flattery(flattery)}. That is above {MOST_FLATTERY}: an audit would show people what they "
            f"cannot see. {cause}Instead, {advice}",
            preflight.figures(),
        )
    if read.worst.value < LEAST_READABILITY:
        raise PreflightRefused(
            Reason.PREFLIGHT_READABILITY,
            f"{read.told_low}, below {LEAST_READABILITY}. A search would find the VAE's blur. {cause}To make "
            f"it sharper, {advice}",
            preflight.figures(),
        )
    if flattery is not None and flattery.value > LOW_FLATTERY:
        reporter.warning(
            "FLATTERY",
            f"{told_flattery(flattery)}. That is above {LOW_FLATTERY}: look at a bug's samples before "
            f"you trust it. To have less of it, {advice}",
        )
    if read.is_low:
        reporter.warning(
            "LOW_READABILITY",
            f"{read.told_low}, below {LOW_READABILITY}. Some of what is found shows the VAE's blur, not the "
            f"classifier's bugs. {cause}To have less of it, {advice}",
        )
