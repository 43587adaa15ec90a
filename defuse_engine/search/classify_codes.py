"""Latent codes decoded and classified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.parallel import in_order
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import Codes, Images, Labels, Rows

NOT_FINITE = -1
"""Stands for the class of a code that gets no class."""


@dataclass(frozen=True)
class Candidates(Rows):
    """Decoded and classified candidates; row i of every array is the same candidate."""

    images: Images
    seed_labels: Labels
    predicted: Labels
    confidence: Float32[np.ndarray, " n"]
    """Probability of the predicted class."""


@dataclass(frozen=True)
class Misclassified:
    """Codes that are not classified as their seed's label; row i of both is the same code."""

    rows: Int64[np.ndarray, " n"]
    """Their positions among all codes."""
    candidates: Candidates
    not_finite: int
    """Codes that get no class (`NOT_FINITE`), which are left out."""


def reads(classifier: Classifier, decoder: Decoder, seeds: Seeds) -> Bool[np.ndarray, " n"]:
    """Tell which seeds the classifier gets right as the VAE draws them.

    Around the others it is wrong whatever is done to them.
    """
    predicted, _ = classify_codes(decoder, classifier, seeds.codes)
    return predicted == seeds.labels


def misclassified(decoder: Decoder, classifier: Classifier, codes: Codes, labels: Labels) -> Misclassified:
    """Decode and classify; keep what is not classified as `labels` (n,)."""
    images: list[Images] = []

    def keep(start: int, decoded: torch.Tensor, predicted: Labels) -> None:
        wrong = (predicted != labels[start : start + len(predicted)]) & (predicted != NOT_FINITE)
        images.append(decoded.cpu().numpy()[wrong])

    predicted, confidence = classify_codes(decoder, classifier, codes, keep)
    answered = predicted != NOT_FINITE
    rows = np.flatnonzero((predicted != labels) & answered)
    seen = np.concatenate([np.zeros((0, *decoder.image_shape), np.float32), *images])
    wrong = Candidates(seen, labels[rows], predicted[rows], confidence[rows])
    return Misclassified(rows, wrong, int((~answered).sum()))


def classify_codes(
    decoder: Decoder,
    classifier: Classifier,
    codes: Codes,
    on_batch: Callable[[int, torch.Tensor, Labels], None] = lambda start, images, predicted: None,
) -> tuple[Labels, Float32[np.ndarray, " n"]]:
    """Return predicted classes (n,) and their probabilities (n,).

    The class is `NOT_FINITE` if decoder or classifier answers NaN or infinite values. `on_batch` gets the row
    where each batch starts, its images and its predictions.
    """
    predicted = np.empty(len(codes), np.int64)
    confidence = np.empty(len(codes), np.float32)
    runtime = decoder.session.runtime
    step = min(decoder.session.batch_size, classifier.session.batch_size)
    everything = torch.from_numpy(np.ascontiguousarray(codes)).to(runtime.device)

    def classify(start: int) -> tuple[torch.Tensor, Labels, Float32[np.ndarray, " _"]]:
        images = decoder.on_device(everything[start : start + step])
        best = classifier.probabilities(classifier.on_device(images)).max(dim=1)
        # A classifier may turn a NaN of its input into a number. A sum is finite only if all its terms are.
        finite = images.flatten(1).sum(dim=1).isfinite() & best.values.isfinite()
        classes = best.indices.where(finite, NOT_FINITE)
        return images, classes.cpu().numpy(), best.values.cpu().numpy()

    starts = range(0, len(codes), step)
    batches = in_order(classify, starts, runtime.at_once(), runtime.threads)
    for start, (images, classes, probabilities) in zip(starts, batches, strict=True):
        predicted[start : start + step] = classes
        confidence[start : start + step] = probabilities
        on_batch(start, images, classes)
    return predicted, confidence
