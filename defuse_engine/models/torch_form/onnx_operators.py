"""ONNX operators that onnx2fx lacks, computes differently from the specification, or leaves on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import onnx
import onnx2fx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, fx

from defuse_engine.models.torch_form.resize import resize

_ML = "ai.onnx.ml"
_Builder = Any
"""onnx2fx.graph_builder.GraphBuilder, which has no types."""


@cache
def register() -> None:
    """Register the operators with onnx2fx, once a process."""
    functions: dict[tuple[str, str, int], Callable[..., Tensor]] = {
        (_ML, "Scaler", 1): _scaler,
        (_ML, "Normalizer", 1): _normalizer,
        (_ML, "ArrayFeatureExtractor", 1): _array_feature_extractor,
        (_ML, "Binarizer", 1): _binarizer,
        ("", "Clip", 11): _clip,
        ("", "ConstantOfShape", 1): _constant_of_shape,
        ("", "Gather", 1): _gather,
        ("", "GatherElements", 1): _gather_elements,
        ("", "Range", 1): _range,
        ("", "ReduceL2", 1): _reduce_l2,
        ("", "Resize", 11): resize,
        ("", "Shape", 1): _shape,
        ("", "Size", 1): _size,
    }
    for (domain, name, since), function in functions.items():
        onnx2fx.register_op(name, _handler(function), domain=domain, since_version=since)


def _handler(function: Callable[..., Tensor]) -> Callable[[_Builder, onnx.NodeProto], fx.Node]:
    """Call `function` with the node's inputs (None for one left out) and its attributes by name."""

    def handle(builder: _Builder, node: onnx.NodeProto) -> fx.Node:
        attributes: dict[str, Any] = {}
        for attribute in node.attribute:
            attributes |= _plain(attribute)
        inputs = [builder.get_value(name) if name else None for name in node.input]
        return builder.call_function(function, args=inputs, kwargs=attributes)

    return handle


def _plain(attribute: onnx.AttributeProto) -> dict[str, Any]:
    """Return an attribute as arguments of an fx graph; a tensor of one element as its value and dtype."""
    value = helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        tensor = torch.from_numpy(numpy_helper.to_array(value).copy()).reshape(-1)
        return {attribute.name: tensor[0].item(), "dtype": tensor.dtype}
    if isinstance(value, bytes):
        return {attribute.name: value.decode()}
    return {attribute.name: list(value) if isinstance(value, list) else value}


def _shape(values: Tensor, start: int = 0, end: int | None = None) -> Tensor:
    return torch.tensor(values.shape[start:end], dtype=torch.int64, device=values.device)


def _size(values: Tensor) -> Tensor:
    return torch.tensor(values.numel(), dtype=torch.int64, device=values.device)


def _constant_of_shape(
    shape: Tensor, value: float | int | bool = 0.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    return torch.full([int(size) for size in shape.tolist()], value, dtype=dtype, device=shape.device)


def _range(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    first, last, step = start.item(), limit.item(), delta.item()
    return torch.arange(first, last, step, dtype=start.dtype, device=start.device)


def _scaler(values: Tensor, offset: list[float], scale: list[float]) -> Tensor:
    floats = values.float()
    return (floats - floats.new_tensor(offset)) * floats.new_tensor(scale)


def _normalizer(values: Tensor, norm: str = "MAX") -> Tensor:
    floats = values.float()
    match norm:
        case "L1":
            size = floats.abs().sum(-1, keepdim=True)
        case "L2":
            size = floats.square().sum(-1, keepdim=True).sqrt()
        case _:
            size = floats.amax(-1, keepdim=True)
    return floats / torch.where(size == 0, 1.0, size)


def _array_feature_extractor(values: Tensor, columns: Tensor) -> Tensor:
    return values[..., columns.reshape(-1)]


def _binarizer(values: Tensor, threshold: float = 0.0) -> Tensor:
    return (values > threshold).to(values.dtype)


def _clip(values: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return values if low is None and high is None else torch.clamp(values, low, high)


def _gather(values: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    size = values.shape[axis]
    # index_select takes no negative index, and indexing by a tensor would move the axis.
    flat = torch.where(indices < 0, indices + size, indices).reshape(-1).long()
    axis %= values.dim()
    picked = torch.index_select(values, axis, flat)
    return picked.reshape((*values.shape[:axis], *indices.shape, *values.shape[axis + 1 :]))


def _gather_elements(values: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    return torch.gather(values, axis, torch.where(indices < 0, indices + values.shape[axis], indices).long())


def _reduce_l2(
    values: Tensor,
    axes_input: Tensor | None = None,
    axes: list[int] | None = None,
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> Tensor:
    if axes_input is not None:
        axes = [int(axis) for axis in axes_input.tolist()]
    if not axes:
        if noop_with_empty_axes:
            return values.abs()
        axes = list(range(values.dim()))
    return values.square().sum(axes, keepdim=bool(keepdims)).sqrt()
