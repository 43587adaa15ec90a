"""Images moved and lit a little at random, so that a training does not learn them by heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from defuse_engine.types import Images

_ROTATION_DEG = 10.0
_ZOOM = 0.1
_SHIFT_SHARE = 0.06
_VARIED_CONTRAST = 0.3
"""Standard deviation of the logarithm of images' contrast from which on their light is said to vary."""
_LEAST_CONTRAST = 1e-6


@dataclass(frozen=True)
class Light:
    """By how much light changes, as logarithms of the largest factors."""

    contrast: float
    brightness: float

    @property
    def varies(self) -> bool:
        """Whether the data's own light varies: then what an image shows is plain in any light."""
        return self.brightness > 0


_VARIED = Light(contrast=0.55, brightness=0.55)
_EVEN = Light(contrast=0.2, brightness=0.0)
"""Strokes on paper are hardly ever much fainter than others. A network that learned to read faint ones sees
digits where there are none: on MNIST it believed misclassifications of which 0.79 were really wrong, not
0.88."""


def light_of(images: Images) -> Light:
    """Return by how much the light of these images (n, C, H, W), a sample of the data, may change."""
    contrast = images.std(axis=(1, 2, 3), dtype=np.float64)
    return _VARIED if np.log(contrast + _LEAST_CONTRAST).std() >= _VARIED_CONTRAST else _EVEN


def augmented(images: Tensor, light: Light, generator: np.random.Generator) -> Tensor:
    """Turn, zoom and shift each image (n, C, H, W), and change its light and contrast; never mirror it.

    Turns are up to 10 degrees, zooms 10%, shifts 6% of the side. Bilinear; borders repeat.
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
    contrast, brightness = (
        torch.from_numpy(np.exp(uniform(most)).astype(np.float32)).to(images.device)[:, None, None, None]
        for most in (light.contrast, light.brightness)
    )
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    return ((moved - mean) * contrast + mean) * brightness
