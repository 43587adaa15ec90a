"""Harm: of all inputs like the dataset's, the share that falls into a region and is misread.

How often the classifier is wrong at all is counted on real items that it was not trained on. How these errors
are spread over the regions is told by two witnesses, each with half of the weight: the real items that are
misread, which are few, and by Monte Carlo samples of the encoder's posterior of the items, decoded and
classified, which are many, and which the VAE drew. What is misread belongs to the regions whose codes lie
around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64

from defuse_engine.intervals import wilson
from defuse_engine.models.onnx_model import Encoder
from defuse_engine.run import Run
from defuse_engine.search.belief import BeliefModel
from defuse_engine.search.classify_codes import misclassified
from defuse_engine.types import Codes, Images, Interval, Labels, Misclassifications

_MOST_ITEMS = 20_000
_MOST_DRAWN = 20_000
_ENOUGH = 500
"""Misread samples after which no more are drawn."""
_NEAREST = 15
"""Codes of the same confusion that a misread sample is shared among."""
_BANDWIDTH = 0.15
"""Stands for sigma, over the standard deviation of mu, if the encoder gives mu alone."""


@dataclass(frozen=True)
class Misread:
    """Inputs like the dataset's that are misread, real ones and samples; row i of every array is the same."""

    codes: Codes
    labels: Labels
    predicted: Labels
    weights: Float32[np.ndarray, " n"]
    """What each counts. They sum up to the number of independent inputs that would tell as much."""
    error_rate: Interval
    """Share of real items that are misread. Its value is never 0: it counts half an error more."""
    scale: Float32[np.ndarray, " d"]
    """Weight of each coordinate in distances: one over the spread of mu, 0 if it carries no information."""

    def __len__(self) -> int:
        return len(self.codes)


def draw_misread(run: Run, belief_model: BeliefModel) -> Misread:
    """Classify validation items, and samples of the encoder's posterior of them, and keep what is misread."""
    split = run.inputs.dataset.validation
    generator = run.generator("distill/aggregate-posterior")
    chosen = np.sort(generator.permutation(len(split))[:_MOST_ITEMS])
    mus, sigmas, answers = [], [], []
    for _, images in split.batches(chosen, run.inputs.encoder.session.chunk_size):
        mu, sigma = _posterior(run.inputs.encoder, images)
        mus.append(mu)
        sigmas.append(sigma)
        answers.append(run.inputs.classifier(images).argmax(axis=1))
    mu, sigma, labels = np.concatenate(mus), np.concatenate(sigmas), split.labels[chosen]
    predicted = np.concatenate(answers)
    wrong = predicted != labels
    errors = wilson(int(wrong.sum()), len(labels))
    error_rate = Interval(
        (errors.value * errors.samples + 0.5) / (errors.samples + 1),
        errors.lower,
        errors.upper,
        errors.samples,
    )
    spread = mu.std(axis=0, dtype=np.float64).astype(np.float32)
    sigma = np.where(np.isnan(sigma), _BANDWIDTH * spread, sigma).astype(np.float32)
    # In the others sigma blurs more than mu varies: a code's place there does not change its image.
    informative = (spread**2 > (sigma**2).mean(axis=0)) & (spread > 0)
    informative |= not informative.any()
    scale = np.divide(1.0, spread, out=np.ones_like(spread), where=spread > 0) * informative
    drawn = _misread_samples(run, belief_model, mu, sigma, labels, generator)
    real = (mu[wrong], labels[wrong], predicted[wrong], np.ones(int(wrong.sum()), np.float32))
    codes, labels, predicted, weights = (np.concatenate(both) for both in zip(real, drawn, strict=True))
    halves = _halves(float(real[3].sum()), float(drawn[3].sum()))
    weights = weights * np.repeat(halves, [len(real[3]), len(drawn[3])])
    return Misread(codes, labels, predicted, weights.astype(np.float32), error_rate, scale.astype(np.float32))


def _halves(real: float, drawn: float) -> tuple[float, float]:
    """Return the factors that give both witnesses the same weight; one that saw nothing has none.

    The mean of two shares of `real` and `drawn` inputs varies as the share of 4 / (1 / real + 1 / drawn).
    """
    if min(real, drawn) == 0:
        return 1.0, 1.0
    each = 2.0 / (1.0 / real + 1.0 / drawn)
    return each / real, each / drawn


def harms(
    misread: Misread, found: Misclassifications, members: Sequence[Int64[np.ndarray, " _"]]
) -> list[Interval]:
    """Return the harm of each region, given the row numbers of its codes in `found`, with a 95% interval.

    A misread sample is shared among the regions of the 15 codes nearest to it, of those that show the same
    confusion. If no region shows it, it belongs to none. A code of several regions counts for the last of
    them: that is a part of the others. One further sample is shared by the number of codes,
    so no harm is 0. The harms sum up to at most the classifier's error rate. The interval multiplies the
    bounds of the error rate and of the region's share of it, so it covers at least 95%.
    """
    region = np.full(len(found), -1)
    for number, rows in enumerate(members):
        region[rows] = number
    sizes = np.bincount(region[region >= 0], minlength=len(members)).astype(np.float64)
    counts = _shared(misread, found, region, len(members)) + sizes / max(1.0, sizes.sum())
    total, samples = misread.error_rate, float(misread.weights.sum(dtype=np.float64)) + 1.0
    # Rounded sums of all weights may differ in their last digits.
    shares = (wilson(min(float(count), samples), samples) for count in counts)
    return [
        Interval(
            total.value * share.value, total.lower * share.lower, total.upper * share.upper, len(misread)
        )
        for share in shares
    ]


def _posterior(encoder: Encoder, images: Images) -> tuple[Codes, Codes]:
    """Return mu, and sigma with NaN where the encoder gives none."""
    mu, sigma = encoder.posterior(images)
    return mu, np.full_like(mu, np.nan) if sigma is None else sigma


def _misread_samples(
    run: Run,
    belief_model: BeliefModel,
    mu: Codes,
    sigma: Codes,
    labels: Labels,
    generator: np.random.Generator,
) -> tuple[
    Float32[np.ndarray, "m d"], Int64[np.ndarray, " m"], Int64[np.ndarray, " m"], Float32[np.ndarray, " m"]
]:
    """Draw one sample of each item, again and again, until enough are misread or enough are drawn.

    Returns the first four arrays of `Misread`.
    """
    rounds: list[tuple[np.ndarray, ...]] = []
    for _ in range(max(1, _MOST_DRAWN // len(mu))):
        codes = mu + sigma * generator.standard_normal(mu.shape, dtype=np.float32)
        wrong = misclassified(run.inputs.decoder, run.inputs.classifier, codes, labels)
        candidates = wrong.candidates
        weights = np.ones(len(candidates), np.float32)
        if belief_model.readers is not None:
            weights = belief_model(candidates).bug_probability
        rounds.append((codes[wrong.rows], candidates.seed_labels, candidates.predicted, weights))
        if sum(len(weights) for *_, weights in rounds) >= _ENOUGH:
            break
    codes, drawn_labels, predicted, weights = (np.concatenate(some) for some in zip(*rounds, strict=True))
    return codes, drawn_labels, predicted, weights


def _shared(
    misread: Misread, found: Misclassifications, region: Int64[np.ndarray, " n"], regions: int
) -> Float64[np.ndarray, " r"]:
    """Return how many misread samples belong to each region; `region` (-1: none) has the codes'."""
    counts = np.zeros(regions)
    rows = np.flatnonzero(region >= 0)
    codes = found.codes[rows] * misread.scale
    confusion = _numbered(found.seed_label[rows], found.predicted_class[rows])
    of_sample = _numbered(misread.labels, misread.predicted)
    for one in np.intersect1d(confusion, of_sample):
        candidates = np.flatnonzero(confusion == one)
        these = of_sample == one
        samples = misread.codes[these] * misread.scale
        distances = torch.cdist(
            torch.from_numpy(samples).double(), torch.from_numpy(codes[candidates]).double()
        )
        nearest = distances.topk(min(_NEAREST, len(candidates)), largest=False).indices.numpy()
        belongs = region[rows[candidates[nearest]]]
        np.add.at(counts, belongs, misread.weights[these, None] / belongs.shape[1])
    return counts


def _numbered(labels: np.ndarray, predicted: np.ndarray) -> Int64[np.ndarray, " n"]:
    return labels.astype(np.int64) << 32 | predicted.astype(np.int64)
