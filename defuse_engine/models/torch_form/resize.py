"""ONNX's Resize in torch, axis by axis: each output coordinate is a weighted sum of input coordinates.

The formulas are those of the operator's specification (https://onnx.ai/onnx/operators/onnx__Resize.html).
"""

from __future__ import annotations

import torch
from torch import Tensor


def resize(
    values: Tensor,
    _roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    axes: list[int] | None = None,
    antialias: int = 0,
    keep_aspect_ratio_policy: str = "stretch",
    extrapolation_value: float = 0.0,
) -> Tensor:
    """Return `values` with its axes scaled by `scales`, or brought to `sizes`.

    Raises `NotImplementedError` for antialiasing, cropping and aspect-ratio policies.
    """
    if antialias or keep_aspect_ratio_policy != "stretch":
        raise NotImplementedError("Resize with antialiasing or an aspect-ratio policy")
    if coordinate_transformation_mode == "tf_crop_and_resize":
        raise NotImplementedError(f"Resize that crops (extrapolation value {extrapolation_value})")
    axes = list(range(values.dim())) if axes is None else axes
    for position, axis in enumerate(axes):
        before = values.shape[axis]
        if sizes is not None and sizes.numel():
            after = int(sizes[position])
            scale = after / before
        elif scales is not None:
            scale = float(scales[position])
            after = int(before * scale)
        else:
            raise NotImplementedError("Resize without scales and sizes")
        if after == before and scale == 1:
            continue
        at = _coordinates(before, after, scale, coordinate_transformation_mode)
        weights = _weights(at, before, mode, nearest_mode, cubic_coeff_a, bool(exclude_outside))
        weights = weights.to(values.device, values.dtype)
        values = (values.movedim(axis, -1) @ weights.T).movedim(-1, axis)
    return values


def _coordinates(before: int, after: int, scale: float, mode: str) -> Tensor:
    """Return the place of each output coordinate on the input's axis; float64 (after,)."""
    out = torch.arange(after, dtype=torch.float64)
    match mode:
        case "align_corners":
            return out * (before - 1) / (after - 1) if after > 1 else torch.zeros_like(out)
        case "asymmetric":
            return out / scale
        case "pytorch_half_pixel":
            return (out + 0.5) / scale - 0.5 if after > 1 else torch.zeros_like(out)
        case "half_pixel_symmetric":
            adjustment = after / (scale * before)
            offset = before / 2 * (1 - adjustment)
            return offset + (out + 0.5) / scale - 0.5
        case "half_pixel":
            return (out + 0.5) / scale - 0.5
        case _:
            raise NotImplementedError(f"Resize with coordinates {mode}")


def _weights(at: Tensor, before: int, mode: str, nearest: str, a: float, exclude: bool) -> Tensor:
    """Return the share of each input coordinate in each output coordinate; float64 (after, before)."""
    floor = at.floor()
    if mode == "nearest":
        terms = [(_nearest(at, nearest), torch.ones_like(at))]
    elif mode == "linear":
        terms = [(floor, 1 - (at - floor)), (floor + 1, at - floor)]
    else:
        terms = [(floor + shift, _cubic((at - floor - shift).abs(), a)) for shift in (-1, 0, 1, 2)]
    weights = torch.zeros(len(at), before, dtype=torch.float64)
    for where, share in terms:
        inside = where.clamp(0, before - 1)
        share = torch.where(where == inside, share, 0.0) if exclude else share
        weights.scatter_add_(1, inside.long()[:, None], share[:, None])
    return weights / weights.sum(1, keepdim=True) if exclude else weights


def _nearest(at: Tensor, mode: str) -> Tensor:
    match mode:
        case "floor":
            return at.floor()
        case "ceil":
            return at.ceil()
        case "round_prefer_ceil":
            return (at + 0.5).floor()
        case _:
            return (at - 0.5).ceil()


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' cubic convolution kernel."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
