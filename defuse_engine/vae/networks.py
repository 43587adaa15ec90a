"""Encoder and decoder for images of any size and number of channels; both export to plain ONNX operations.

A small code is a vector that the whole image goes into. A large one is a grid: each cell holds a few numbers
about its place. A grid keeps what is small in a photograph, such as the digits on a sign, and learns it in a
fraction of the steps.

Residual blocks have no normalisation; a learned gain that starts small scales their branches (S. De, S.
Smith, Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep Networks, 2020). A
decoder without normalisation runs faster in the search, and its graph has a gradient everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from defuse_engine.models.preprocessing import ImageShape
from defuse_engine.readers.contrast import standardised_twice

_FULL_SIDE = 16
"""Images up to this side are processed pixel by pixel, larger ones by patches, which cost less."""
_GRID_SIDE = 32
_LEAST_GRID_SIDE = 8
_WIDTHS = (24, 32, 64, 96)
_WIDE_SIDE = 16
"""Grids up to this side begin with the second width; larger ones can only afford the first."""
_LAST_BLOCKS = 2
"""Residual blocks on the smallest grid, where they are cheap and see much of the image."""
_PIXEL_WIDTH = 12
"""Channels at full size, where every one is dear."""
_HIDDEN = 256
_FIRST_GAIN = 0.2
_LOGVAR_RANGE = (-12.0, 4.0)


@dataclass(frozen=True)
class Values:
    """Statistics of the train split's values; scalars, in the dataset's units."""

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True)
class Geometry:
    """The division of an image: patches, then grids of half the side until the last is small."""

    image_shape: ImageShape
    patch: int
    levels: int

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width, grown to whole multiples of the last grid's cells."""
        cell = self.patch * 2 ** (self.levels - 1)
        _, height, width = self.image_shape
        return -(-height // cell) * cell, -(-width // cell) * cell

    @property
    def last_grid(self) -> tuple[int, int]:
        """Height and width of the smallest grid."""
        cell = self.patch * 2 ** (self.levels - 1)
        return self.padded[0] // cell, self.padded[1] // cell

    @property
    def cells(self) -> int:
        """Number of cells of the smallest grid."""
        return math.prod(self.last_grid)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels at each level, from the largest grid to the smallest."""
        first = 1 if max(self.padded) // self.patch <= _WIDE_SIDE else 0
        return tuple(_WIDTHS[min(first + level, len(_WIDTHS) - 1)] for level in range(self.levels))

    def is_grid(self, latent_size: int) -> bool:
        """Whether a code of this size is a grid: several numbers for each cell."""
        return latent_size % self.cells == 0 and latent_size > self.cells


def geometry(image_shape: ImageShape) -> Geometry:
    """Choose the patch (1 for small images) and the number of grids from the image's larger side."""
    side = max(image_shape[1:])
    patch = 1 if side <= _FULL_SIDE else 2
    while -(-side // patch) > _GRID_SIDE:
        patch *= 2
    levels, grid = 1, -(-side // patch)
    while grid > _LEAST_GRID_SIDE:
        levels, grid = levels + 1, -(-grid // 2)
    return Geometry(image_shape, patch, levels)


class Residual(nn.Module):
    """x + gain * two convolutions of x."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.gain = nn.Parameter(torch.full((1, width, 1, 1), _FIRST_GAIN))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same."""
        return x + self.gain * self.second(functional.silu(self.first(functional.silu(x))))


class VaeEncoder(nn.Module):
    """Images (n, C, H, W) in the dataset's units to mu and logvar (n, D)."""

    def __init__(self, shape: Geometry, values: Values, latent_size: int):
        super().__init__()
        self.shape, self.values = shape, values
        widths, kernel = shape.widths, max(3, shape.patch)
        padding = 1 if kernel != shape.patch else 0
        layers: list[nn.Module] = [
            nn.Conv2d(2 * shape.image_shape[0], widths[0], kernel, shape.patch, padding),
            Residual(widths[0]),
        ]
        for narrow, wide in pairwise(widths):
            layers += [nn.SiLU(), nn.Conv2d(narrow, wide, 4, 2, padding=1), Residual(wide)]
        layers += [Residual(widths[-1]) for _ in range(_LAST_BLOCKS - 1)]
        if shape.is_grid(latent_size):
            self.trunk = nn.Sequential(*layers, nn.SiLU())
            self.mu, self.logvar = (_to_grid(widths[-1], latent_size // shape.cells) for _ in range(2))
            variance: nn.Module = self.logvar[0]
        else:
            wide = widths[-1] * shape.cells
            self.trunk = nn.Sequential(*layers, nn.SiLU(), nn.Flatten(), nn.Linear(wide, _HIDDEN), nn.SiLU())
            self.mu, self.logvar = (nn.Linear(_HIDDEN, latent_size) for _ in range(2))
            variance = self.logvar
        nn.init.constant_(variance.get_parameter("bias"), -2.0)

    def forward(self, images: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of q(z | image)."""
        features = self.trunk(self._inputs(images))
        return self.mu(features), self.logvar(features).clamp(*_LOGVAR_RANGE)

    def _inputs(self, images: Tensor) -> Tensor:
        both = standardised_twice(images, self.values.mean, self.values.std)
        _, height, width = self.shape.image_shape
        down, right = self.shape.padded[0] - height, self.shape.padded[1] - width
        return functional.pad(both, (0, right, 0, down)) if down or right else both


class VaeDecoder(nn.Module):
    """Codes (n, D) to images (n, C, H, W) within the range of the train split's values.

    It grows by resizing and convolving. A transposed convolution draws checkerboards until it has learned
    not to (A. Odena, V. Dumoulin, C. Olah, Deconvolution and Checkerboard Artifacts, 2016).
    """

    def __init__(self, shape: Geometry, values: Values, latent_size: int):
        super().__init__()
        self.shape, self.values = shape, values
        widths = shape.widths
        layers: list[nn.Module] = [*_from_code(shape, latent_size)]
        layers += [Residual(widths[-1]) for _ in range(_LAST_BLOCKS)]
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += [nn.SiLU(), *_grown(wide, narrow, 2), Residual(narrow)]
        layers.append(nn.SiLU())
        self.trunk = nn.Sequential(*layers)
        channels, patch = shape.image_shape[0], shape.patch
        first: list[nn.Module] = [*_grown(widths[0], _PIXEL_WIDTH, patch), nn.SiLU()] if patch > 1 else []
        last = nn.Conv2d(_PIXEL_WIDTH if patch > 1 else widths[0], channels, 3, padding=1)
        self.image = nn.Sequential(*first, last)
        share = (values.mean - values.low) / (values.high - values.low)
        with torch.no_grad():
            logit = torch.logit(torch.tensor(min(max(share, 0.01), 0.99)))
            last.get_parameter("bias").fill_(logit)

    def forward(self, codes: Float[Tensor, "n d"]) -> Tensor:
        """Decode; the output's range is the data's, by a sigmoid."""
        return self.bounded(self.image(self.trunk(codes)))

    def bounded(self, raw: Tensor) -> Tensor:
        """Cut the padding off, and map any number into the range of the data."""
        _, height, width = self.shape.image_shape
        low, high = self.values.low, self.values.high
        return low + (high - low) * torch.sigmoid(raw[:, :, :height, :width])


def _to_grid(width: int, numbers: int) -> nn.Sequential:
    """A cell's features to its numbers, as one vector for all cells."""
    return nn.Sequential(nn.Conv2d(width, numbers, 1), nn.Flatten())


def _from_code(shape: Geometry, latent_size: int) -> list[nn.Module]:
    width, grid = shape.widths[-1], shape.last_grid
    if shape.is_grid(latent_size):
        numbers = latent_size // shape.cells
        return [nn.Unflatten(1, (numbers, *grid)), nn.Conv2d(numbers, width, 3, padding=1)]
    return [
        nn.Linear(latent_size, _HIDDEN),
        nn.SiLU(),
        nn.Linear(_HIDDEN, width * shape.cells),
        nn.Unflatten(1, (width, *grid)),
    ]


def _grown(wide: int, narrow: int, times: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=times), nn.Conv2d(wide, narrow, 3, padding=1)]


class Vae(nn.Module):
    """A VAE: both halves."""

    def __init__(self, image_shape: ImageShape, values: Values, latent_size: int):
        super().__init__()
        shape = geometry(image_shape)
        self.latent_size = latent_size
        self.encoder = VaeEncoder(shape, values, latent_size)
        self.decoder = VaeDecoder(shape, values, latent_size)
