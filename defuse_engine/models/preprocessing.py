"""Images to a model's input and back: the only place that knows layout and normalisation."""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
import torch

from defuse_engine.errors import InvalidSignature
from defuse_engine.types import Preprocessing

Array = TypeVar("Array", np.ndarray, torch.Tensor)
ImageShape = tuple[int, int, int]
"""(C, H, W)."""


def apply(preprocessing: Preprocessing, images: Array) -> Array:
    """Turn images (n, C, H, W) into the model's input; the same array if nothing changes.

    Raises MODEL_SIGNATURE if `mean` or `std` holds neither one value nor one a channel.
    """
    values = images
    if _normalises(preprocessing):
        factor, offset = _affine(preprocessing, int(images.shape[1]))
        values = images * _like(factor, images) + _like(offset, images)
    return _lay_out(values, preprocessing)


def invert(preprocessing: Preprocessing, values: Array, image_shape: ImageShape) -> Array:
    """Turn a model's output in its layout back into images (n, C, H, W); the inverse of `apply`."""
    images = _lay_back(values, preprocessing, image_shape)
    if _normalises(preprocessing):
        factor, offset = _affine(preprocessing, image_shape[0])
        images = (images - _like(offset, images)) / _like(factor, images)
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


def _affine(preprocessing: Preprocessing, channels: int) -> tuple[np.ndarray, np.ndarray]:
    mean = _per_channel(preprocessing.mean, channels, "mean")
    std = _per_channel(preprocessing.std, channels, "std")
    return preprocessing.scale / std, -mean / std


def _per_channel(values: tuple[float, ...], channels: int, name: Literal["mean", "std"]) -> np.ndarray:
    if len(values) not in (1, channels):
        raise InvalidSignature(
            f"preprocessing.{name} must hold one value, or one for each of {channels} channels; "
            f"got {len(values)}"
        )
    return np.broadcast_to(np.asarray(values, np.float64), (channels,)).reshape(1, channels, 1, 1)


def _like(factor: np.ndarray, images: Array) -> Array:
    if isinstance(images, torch.Tensor):
        return torch.from_numpy(factor.copy()).to(images.device, images.dtype)
    return factor.astype(images.dtype)


def _lay_out(values: Array, preprocessing: Preprocessing) -> Array:
    match preprocessing.layout:
        case "NCHW":
            return values
        case "NHWC":
            if isinstance(values, torch.Tensor):
                return values.permute(0, 2, 3, 1).contiguous()
            return np.ascontiguousarray(values.transpose(0, 2, 3, 1))
        case "FLAT":
            return values.reshape(len(values), -1)


def _lay_back(values: Array, preprocessing: Preprocessing, image_shape: ImageShape) -> Array:
    channels, height, width = image_shape
    if preprocessing.layout == "NHWC":
        values = values.reshape(len(values), height, width, channels)
        if isinstance(values, torch.Tensor):
            return values.permute(0, 3, 1, 2).contiguous()
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    return values.reshape(len(values), channels, height, width)
