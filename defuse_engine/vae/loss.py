"""The loss of a training: distances relative to the data's own variance, independent of its scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_LEAST_CONTRAST_SHARE = 0.1
"""Added to each image's variance, as a share of the mean, to bound the weight of a blank image."""
_NO_EDGES = 1e-12
_MOST_DISTANCE = 4.0
"""A feature's distance of one image grows linearly beyond this many variances, as Huber's loss does."""


FEATURE_WEIGHT = 1.0
"""Weight of the distance of features. Those of pixels and of edges have 1 each."""
_EDGE_SCALES = (1, 2, 4)
"""Edges are compared between pixels, and between means of squares of pixels of these sides."""
_LEAST_EDGE_SHARE = 0.1


@dataclass(frozen=True)
class Setting:
    """One setting that the data may choose."""

    latent_size: int
    kl_weight: float
    """Weight of the divergence in nats: a latent coordinate is used if it saves more distance than that."""


@dataclass(frozen=True)
class Scales:
    """Variances that distances are divided by."""

    pixels: float
    """Mean over images of the summed squared deviation from the image's own mean."""
    features: tuple[float, ...]
    """For each activation the mean over images of the summed squared deviation from the activation's mean;
    0 where it never changes."""
    log_class_count: float


def measure_scales(images: Float[Tensor, "n c h w"], activations: list[Tensor]) -> Scales:
    """Measure a sample of the train split: its images, and their activations (n, ...), the last (n, K)."""
    flat = (values.flatten(1) for values in activations[:-1])
    features = tuple(float((values - values.mean(0)).square().sum(1).mean()) for values in flat)
    classes = activations[-1].shape[1]
    return Scales(float(contrast(images).mean()), features, float(torch.log(torch.tensor(float(classes)))))


def contrast(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Return each image's summed squared deviation from its own mean."""
    return (images - images.mean((1, 2, 3), keepdim=True)).square().sum((1, 2, 3))


def pixel_distance(
    images: Float[Tensor, "n c h w"], decoded: Float[Tensor, "n c h w"], scales: Scales
) -> Float[Tensor, ""]:
    """Return the mean over images of the squared error over the image's own contrast, 0 or more.

    A classifier that standardises its input reads a dark image like a bright one, and so must the loss.
    """
    floor = _LEAST_CONTRAST_SHARE * scales.pixels
    errors = (images - decoded).square().sum((1, 2, 3))
    return (errors / (contrast(images) + floor)).mean() * (1 + _LEAST_CONTRAST_SHARE)


def edge_distance(images: Float[Tensor, "n c h w"], decoded: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Return the mean over scales and images of the squared error of differences between neighbours.

    It is relative to an image's own differences, 0 or more; a blank image has about 1. Errors of pixels alone
    hardly mind blur: strokes and outlines are a small part of an image's contrast.
    """
    parts: list[Tensor] = []
    for side in _EDGE_SCALES:
        if min(images.shape[2:]) < 2 * side:
            continue
        wanted, got = (functional.avg_pool2d(both, side) for both in (images, decoded))
        errors, own = torch.zeros(len(images), device=images.device), torch.zeros_like(images[:, 0, 0, 0])
        for axis in (2, 3):
            across = wanted.diff(dim=axis)
            errors = errors + (across - got.diff(dim=axis)).square().sum((1, 2, 3))
            own = own + across.square().sum((1, 2, 3))
        floor = _LEAST_EDGE_SHARE * own.mean() + _NO_EDGES
        parts.append((errors / (own + floor)).mean())
    return torch.stack(parts).mean() if parts else images.new_zeros(())


def feature_distance(wanted: list[Tensor], got: list[Tensor], scales: Scales) -> Float[Tensor, ""]:
    """Return the mean of the relative distances of activations and of the divergence of the predictions.

    Both lists hold activations (n, ...) from shallow to deep, the last log-probabilities (n, K). 0 or more;
    1 is what activations differ by from image to image, and guessing from a sure prediction.
    """
    parts = [
        _bounded((one.flatten(1) - other.flatten(1)).square().sum(1) / scale).mean()
        for one, other, scale in zip(wanted[:-1], got[:-1], scales.features, strict=True)
        if scale > 0
    ]
    divergence = functional.kl_div(got[-1], wanted[-1], reduction="batchmean", log_target=True)
    parts.append(divergence / scales.log_class_count)
    return torch.stack(parts).mean()


def kl_divergences(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Return KL(N(mu, exp(logvar)) || N(0, 1)) of each item, in nats.

    D. P. Kingma, M. Welling, Auto-encoding variational Bayes, 2013, appendix B.
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)


def _bounded(distances: Tensor) -> Tensor:
    linear = 2 * (_MOST_DISTANCE * distances.clamp_min(_MOST_DISTANCE)).sqrt() - _MOST_DISTANCE
    return torch.where(distances > _MOST_DISTANCE, linear, distances)
