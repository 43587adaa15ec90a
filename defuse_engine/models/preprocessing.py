"""Images to a model's input and back: the only place that knows layout and normalisation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from defuse_engine.errors import InvalidSignature
from defuse_engine.types import Preprocessing

ImageShape = tuple[int, int, int]
"""(C, H, W)."""


def apply(preprocessing: Preprocessing, images: Tensor) -> Tensor:
    """Turn images (n, C, H, W) into the model's input; the same tensor if nothing changes.

    Raises MODEL_SIGNATURE if `mean` or `std` holds neither one value nor one a channel.
    """
    values = images
    if _normalises(preprocessing):
        factor, offset = _affine(preprocessing, images)
        values = images * factor + offset
    match preprocessing.layout:
        case "NCHW":
            return values
        case "NHWC":
            return values.permute(0, 2, 3, 1).contiguous()
        case "FLAT":
            return values.flatten(1)


def invert(preprocessing: Preprocessing, values: Tensor, image_shape: ImageShape) -> Tensor:
    """Turn a model's output in its layout back into images (n, C, H, W); the inverse of `apply`."""
    channels, height, width = image_shape
    if preprocessing.layout == "NHWC":
        images = values.reshape(len(values), height, width, channels).permute(0, 3, 1, 2).contiguous()
    else:
        images = values.reshape(len(values), channels, height, width)
    if _normalises(preprocessing):
        factor, offset = _affine(preprocessing, images)
        images = (images - offset) / factor
    return images


def model_item_shape(preprocessing: Preprocessing, image_shape: ImageShape) -> tuple[int, ...]:
    """Return the shape of one model input, without the batch."""
    channels, height, width = image_shape
    match preprocessing.layout:
        case "NCHW":
            return image_shape
        case "NHWC":
            return height, width, channels
        case "FLAT":
            return (channels * height * width,)


def image_shape_of(preprocessing: Preprocessing, item_shape: tuple[int, ...]) -> ImageShape | None:
    """Return (C, H, W) from a model's item shape; None if FLAT or dynamic dimensions hide it."""
    if preprocessing.layout == "FLAT" or len(item_shape) != 3 or min(item_shape) < 1:
        return None
    first, second, third = item_shape
    return (first, second, third) if preprocessing.layout == "NCHW" else (third, first, second)


def _normalises(preprocessing: Preprocessing) -> bool:
    identity = Preprocessing()
    return (
        preprocessing.scale != identity.scale
        or set(preprocessing.mean) != {0.0}
        or set(preprocessing.std) != {1.0}
    )


def _affine(preprocessing: Preprocessing, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return factor and offset of each channel, in the images' dtype and on their device."""
    channels = images.shape[1]
    mean = _per_channel(preprocessing.mean, channels, "mean")
    std = _per_channel(preprocessing.std, channels, "std")
    return (preprocessing.scale / std).to(images), (-mean / std).to(images)


def _per_channel(values: tuple[float, ...], channels: int, name: Literal["mean", "std"]) -> Tensor:
    if len(values) not in (1, channels):
        raise InvalidSignature(
            f"preprocessing.{name} must hold one value, or one for each of {channels} channels; "
            f"got {len(values)}"
        )
    return torch.tensor(values, dtype=torch.float64).expand(channels).reshape(1, channels, 1, 1)
