"""Images moved and lit a little at random, so that a training does not learn them by heart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_ROTATION_DEG = 10.0
_ZOOM = 0.1
_SHIFT_SHARE = 0.06
_LIGHT = 4.0**0.4
"""Largest factor of contrast and of brightness. Factors, because many photographs are dark."""


def augmented(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Turn, zoom and shift each image (n, C, H, W), and change its light and contrast; never mirror it.

    Turns are up to 10 degrees, zooms 10%, shifts 6% of the side. Contrast and brightness change by factors
    of 0.57 to 1.74. Bilinear; borders repeat.
    """

    def uniform(width: float) -> np.ndarray:
        return generator.uniform(-width, width, len(images))

    angle, zoom = np.deg2rad(uniform(_ROTATION_DEG)), 1.0 + uniform(_ZOOM)
    # The grid runs from -1 to 1, so a share of the side counts double.
    across, down = uniform(2 * _SHIFT_SHARE), uniform(2 * _SHIFT_SHARE)
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    theta = np.array([[cosine, -sine, across], [sine, cosine, down]], np.float32)
    matrices = torch.from_numpy(theta.transpose(2, 0, 1)).to(images.device)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, align_corners=False, padding_mode="border")
    factors = (_LIGHT ** generator.uniform(-1.0, 1.0, (2, len(images), 1, 1, 1))).astype(np.float32)
    contrast, brightness = torch.from_numpy(factors).to(images.device)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    return ((moved - mean) * contrast + mean) * brightness
