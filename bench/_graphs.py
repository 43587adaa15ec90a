"""Short helpers that build ONNX graphs as exporters other than torch's do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None]
node: Any = helper.make_node


def numbers(*shape: int, seed: int = 0, scale: float = 0.5) -> np.ndarray:
    """Return random float32 weights."""
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * scale).astype(np.float32)


def whole(*values: int) -> np.ndarray:
    """Return int64 numbers, the type of shapes and axes."""
    return np.array(values, np.int64)


def model(
    nodes: Sequence[onnx.NodeProto],
    takes: Shape,
    gives: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray] | None = None,
    *,
    kind: int = TensorProto.FLOAT,
    opset: int = 17,
    functions: Sequence[onnx.FunctionProto] = (),
) -> bytes:
    """Return the ONNX file of a graph with the input `x`. `gives` maps outputs to shapes or to ValueInfo."""
    outputs = [
        shape
        if isinstance(shape, onnx.ValueInfoProto)
        else helper.make_tensor_value_info(name, _float(kind), shape)
        for name, shape in gives.items()
    ]
    built = helper.make_model(
        helper.make_graph(
            list(nodes),
            "graph",
            [helper.make_tensor_value_info("x", kind, takes)],
            outputs,
            [numpy_helper.from_array(values, name) for name, values in (tensors or {}).items()],
        ),
        opset_imports=[
            helper.make_opsetid("", opset),
            helper.make_opsetid("ai.onnx.ml", 3),
            *(helper.make_opsetid(function.domain, 1) for function in functions),
        ],
        functions=list(functions),
        ir_version=4 if opset < 15 and not functions else 8 if opset < 21 else onnx.IR_VERSION,
    )
    onnx.checker.check_model(built)
    return built.SerializeToString()


def _float(kind: int) -> int:
    return kind if kind in (TensorProto.FLOAT16, TensorProto.DOUBLE) else TensorProto.FLOAT
