"""The choice of a setting: short trials, of which the better half goes on, and the best gets the rest.

Readability on the validation split decides, to the classifier and to independent readers (`readers`), by
successive halving (K. Jamieson, A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
Optimization, 2016). Among settings that are readable enough, or equally readable within noise, the smallest
latent space wins: its codes fill the prior, and what lies between them decodes to something like the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from defuse_engine.models.preprocessing import ImageShape
from defuse_engine.types import Described
from defuse_engine.vae.loss import Setting
from defuse_engine.vae.networks import Vae, geometry

Right = Bool[np.ndarray, " n"]

VECTOR_KL_WEIGHT = 1e-3
GRID_KL_WEIGHT = 5e-5
"""Less: a photograph takes hundreds of nats, and each must cost less than the detail that it draws."""
_GRID_NUMBERS = 4
"""Numbers for each cell of the grid that is tried. With 8 a training reads more sooner, but all that an audit
holds of codes and regions is then twice as large."""
_LEAST_COMPRESSION = 4
"""Values of an image for each number of a code; with fewer, a code is hardly smaller than its image."""
_READABLE = 0.95
"""Share of reconstructions that after a trial is enough: the rest of the training adds to it."""
_LEAST_SIZE = 8
_MOST_MIDDLE_SIZE = 64


@dataclass(frozen=True)
class Measured:
    """One setting's VAE, measured on the validation sample."""

    setting: Setting
    right: Right
    """Which reconstructions the classifier and every independent reader read as labeled."""
    readability: float
    """To the reader that keeps least of what it reads on the originals, in [0, 1]."""
    reconstruction_mse: float
    """Mean over images and pixels, in the dataset's units, squared."""
    divergence: float
    """KL from the prior, mean over items, in nats."""
    steps: int


@dataclass(frozen=True)
class Milestone(Described):
    """How the chosen setting read at one moment of the training."""

    budget_share: float
    """Share of the budget that was spent, in [0, 1]."""
    readability: float
    """As `Measured` has it."""


@dataclass(frozen=True)
class Trained:
    """The VAE of the chosen setting, and everything that was tried."""

    vae: Vae
    points: list[Measured]
    chosen: Setting
    milestones: list[Milestone]
    """Of the chosen setting, from the end of the trials to the end of the budget."""


def settings(latent_sizes: Sequence[int], image_shape: ImageShape) -> list[Setting]:
    """List the settings to try, the dispensable ones last.

    Sizes that the user gives are tried in that order. Without them three are vectors: half, one and two times
    the power of two nearest to the square root of the number of values in an image, which is at most 64; so
    they lie within 8..128. One is a grid of 4 numbers a cell, if an image has at least four times as many
    values.
    """
    if latent_sizes:
        sizes = list(dict.fromkeys(latent_sizes))
    else:
        small, *others = _vector_sizes(math.prod(image_shape))
        sizes = [*others[:1], *_grid_sizes(image_shape), *others[1:], small]
    shape = geometry(image_shape)
    return [Setting(size, GRID_KL_WEIGHT if shape.is_grid(size) else VECTOR_KL_WEIGHT) for size in sizes]


def better_half(tried: Sequence[Measured]) -> list[Setting]:
    """Return the more readable half, at least one."""
    ranked = sorted(tried, key=lambda one: -one.right.mean())
    return [one.setting for one in ranked[: max(1, len(ranked) // 2)]]


def choose(tried: Sequence[Measured]) -> Setting:
    """Return the setting of the smallest latent size that is readable enough, or as good as the best.

    A setting is as good if it loses by at most one standard error of the paired difference.
    """
    best = max(tried, key=lambda one: one.right.mean())
    fit = [one for one in tried if one.readability >= _READABLE or not clearly_worse(one.right, best.right)]
    return min(fit, key=lambda one: one.setting.latent_size).setting


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


def _vector_sizes(values: int) -> list[int]:
    middle = min(_MOST_MIDDLE_SIZE, 2 ** round(math.log2(math.sqrt(values))))
    return sorted({max(_LEAST_SIZE, size) for size in (middle // 2, middle, 2 * middle)})


def _grid_sizes(image_shape: ImageShape) -> list[int]:
    size = _GRID_NUMBERS * geometry(image_shape).cells
    return [size] if size * _LEAST_COMPRESSION <= math.prod(image_shape) else []
