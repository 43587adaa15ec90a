"""The choice of a setting: short trials, of which the better half goes on, and the best gets the rest.

Readability on the validation split decides, to the classifier and to an independent reader (`readers`), by
successive halving (K. Jamieson, A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
Optimization, 2016). Among settings that are equally readable within noise, a smaller latent space and a
larger weight of the divergence win: codes then fill the prior, and what lies between them decodes to
something like the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from defuse_engine.models.preprocessing import ImageShape
from defuse_engine.vae.loss import Setting
from defuse_engine.vae.networks import Vae

Right = Bool[np.ndarray, " n"]

WEIGHTS: tuple[tuple[float, float], ...] = ((1.0, 1e-3), (1.0, 4e-3), (3.0, 1e-3))
"""Pairs of feature weight and divergence weight that are tried with each latent size."""
_LEAST_SIZE = 8
_MOST_MIDDLE_SIZE = 64


@dataclass(frozen=True)
class Measured:
    """One setting's VAE, measured on the validation sample."""

    setting: Setting
    right: Right
    """Which reconstructions both the classifier and the independent reader read as labeled."""
    readability: float
    """To the classifier alone: accuracy on reconstructions over that on originals, 0 or more."""
    reconstruction_mse: float
    """Mean over images and pixels, in the dataset's units, squared."""
    divergence: float
    """KL from the prior, mean over items, in nats."""
    steps: int


@dataclass(frozen=True)
class Trained:
    """The VAE of the chosen setting, and everything that was tried."""

    vae: Vae
    points: list[Measured]
    chosen: Setting


def settings(latent_sizes: Sequence[int], image_shape: ImageShape) -> list[Setting]:
    """List the settings to try, each latent size with each pair of weights, the dispensable ones last.

    If the user gives no sizes, they are half, one and two times the power of two nearest to the square root
    of the number of values in an image, which is at most 64; so they lie within 8..128. The middle size comes
    first, then the larger, the smaller.
    """
    ascending = sorted(set(latent_sizes)) or _sizes(math.prod(image_shape))
    middle = len(ascending) // 2
    sizes = [*ascending[middle:], *ascending[:middle][::-1]]
    return [Setting(size, *weights) for weights in WEIGHTS for size in sizes]


def better_half(tried: Sequence[Measured]) -> list[Setting]:
    """Return the more readable half, at least one."""
    ranked = sorted(tried, key=lambda one: -one.right.mean())
    return [one.setting for one in ranked[: max(1, len(ranked) // 2)]]


def choose(tried: Sequence[Measured]) -> Setting:
    """Return the simplest of the settings that are as good as the best.

    A setting is as good if it loses by at most one standard error of the paired difference. Among those the
    smallest latent size wins, then the largest divergence weight, then the smallest feature weight.
    """
    best = max(tried, key=lambda one: one.right.mean())
    equals = [one.setting for one in tried if not clearly_worse(one.right, best.right)]
    return min(equals, key=lambda one: (one.latent_size, -one.kl_weight, one.feature_weight))


def clearly_worse(right: Right, other: Right) -> bool:
    """Whether `other` reads more items, by more than one standard error of the paired difference.

    One differing item is added to the error: a single item proves nothing.
    """
    difference = other.astype(np.int64) - right.astype(np.int64)
    return float(difference.sum()) > math.sqrt(float(np.abs(difference).sum()) + 1.0)


def halve(
    candidates: Sequence[Setting], rounds: int, train: Callable[[Setting, int], Measured]
) -> tuple[Setting, list[Measured]]:
    """Train all in round 0, the better half in round 1, and so on; return the choice and all measures.

    `train(setting, round)` continues a setting and measures it. A setting's last measure counts.
    """
    measured: dict[Setting, Measured] = {}
    left = list(candidates)
    for number in range(rounds):
        measured.update({setting: train(setting, number) for setting in left})
        if number + 1 < rounds:
            left = better_half([measured[setting] for setting in left])
    return choose([measured[setting] for setting in left]), list(measured.values())


def _sizes(values: int) -> list[int]:
    middle = min(_MOST_MIDDLE_SIZE, 2 ** round(math.log2(math.sqrt(values))))
    return sorted({max(_LEAST_SIZE, size) for size in (middle // 2, middle, 2 * middle)})
