"""Images standardised by the data, and by each image's own mean and contrast."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST_CONTRAST = 0.02
"""Least standard deviation of an image, relative to the data's: below is noise, not to be amplified."""


def standardised_once(images: Tensor, mean: float, std: float) -> Tensor:
    """Return images (n, C, H, W) standardised by the mean and standard deviation of their data."""
    return (images - mean) / std


def standardised_twice(images: Tensor, mean: float, std: float) -> Tensor:
    """Return (n, 2 C, H, W) of images (n, C, H, W) from data of this mean and standard deviation.

    What a dark photograph shows is as plain as in a bright one, to people and to classifiers that standardise
    each image. By the data alone it would be lost beside the bright ones.
    """
    common = standardised_once(images, mean, std)
    own = common - common.mean((1, 2, 3), keepdim=True)
    own = own / (own.square().mean((1, 2, 3), keepdim=True) + _LEAST_CONTRAST**2).sqrt()
    return torch.cat([common, own], 1)
