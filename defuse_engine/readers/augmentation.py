"""Images moved and lit a little at random, so that a training does not learn them by heart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from defuse_engine.types import Images

_ROTATION_DEG = 10.0
_ZOOM = 0.1
_SHIFT_SHARE = 0.06
_MOST_LIGHT = 0.55
"""Most that the logarithms of contrast and brightness change by: a factor of 1.73."""
_LEAST_CONTRAST = 1e-6


def light_of(images: Images) -> float:
    """Return by how much contrast and brightness of images (n, C, H, W) may change, as a logarithm.

    It is the standard deviation of their contrast's logarithm, 0.55 at most. Photographs are dark or bright,
    strokes on paper are not: a faint stroke there may be none.
    """
    contrast = images.std(axis=(1, 2, 3), dtype=np.float64)
    return min(_MOST_LIGHT, float(np.log(contrast + _LEAST_CONTRAST).std()))


def augmented(images: Tensor, light: float, generator: np.random.Generator) -> Tensor:
    """Turn, zoom and shift each image (n, C, H, W), and change its light and contrast; never mirror it.

    Turns are up to 10 degrees, zooms 10%, shifts 6% of the side. The logarithms of contrast and brightness
    change by up to `light`. Bilinear; borders repeat.
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
    factors = np.exp(generator.uniform(-light, light, (2, len(images), 1, 1, 1))).astype(np.float32)
    contrast, brightness = torch.from_numpy(factors).to(images.device)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    return ((moved - mean) * contrast + mean) * brightness
