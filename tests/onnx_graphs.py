"""Small ONNX graphs, as tests put them together."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_GENERATOR = np.random.default_rng(7)


def floats(*shape: int) -> np.ndarray:
    """Numbers for a weight."""
    return _GENERATOR.normal(0, 0.5, shape).astype(np.float32)


def graph(nodes, initializers, inputs=(("x", ["n", 6]),), outputs=(("y", ["n", 3]),)):
    """A checked model of these nodes; `initializers` maps names to arrays or to onnx's own tensors.

    Inputs and outputs: name, shape, and the type of element where that is not float.
    """

    def value(name, shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    model = helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [value(*entry) for entry in inputs],
            [value(*entry) for entry in outputs],
            [
                t if isinstance(t, onnx.TensorProto) else numpy_helper.from_array(np.asarray(t), name)
                for name, t in initializers.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return model
