"""A low-pass filter, which leaves of an image what people see of it from a few steps away."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_SIDE_SHARE = 1 / 32
"""In an image of side 32, a hundredth of a wave of two pixels is left, and three quarters of one of eight."""
_LEAST_PIXELS = 0.7
"""A narrower blur changes little. This one leaves a sixth of a wave of two pixels."""


class LowPass(nn.Module):
    """Blurs images (n, C, H, W) with a Gaussian whose width follows their side."""

    rows: Tensor
    columns: Tensor

    def __init__(self, height: int, width: int, side_share: float = _SIDE_SHARE):
        """Take the size of the images, in pixels, and the blur's standard deviation over the longer side."""
        super().__init__()
        deviation = max(_LEAST_PIXELS, side_share * max(height, width))
        self.register_buffer("rows", _gaussian(height, deviation))
        self.register_buffer("columns", _gaussian(width, deviation).T.contiguous())

    def forward(self, images: Tensor) -> Tensor:
        """Return the blurred images, of the same shape."""
        return self.rows @ images @ self.columns


def _gaussian(size: int, deviation: float) -> Tensor:
    """Return weights (size, size); those of each row sum to 1."""
    places = torch.arange(size, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((places[:, None] - places[None]) / deviation) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
