"""The weights of an ONNX graph, and the operations that keep a gradient from them.

Only the graph is read here, no tensor is computed: `differentiable` confirms the answer by a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import onnx

from defuse_engine.models.onnx_graph.graph_editing import stored_tensors

_FLOAT_TYPES = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16})

# Input positions that hold learned tensors. BatchNormalization's mean and variance (3, 4) are statistics.
_WEIGHT_INPUTS: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "GRU": (1, 2, 3),
    "Gemm": (0, 1, 2),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
    "PRelu": (1,),
    "RNN": (1, 2, 3),
}

# These hand a weight on in another form, and its gradient back.
_FORWARDING = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})

_BLOCKING = frozenset(
    {
        "ArgMax", "ArgMin", "BitShift", "Ceil", "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear",
        "Equal", "Floor", "Greater", "GreaterOrEqual", "Hardmax", "IsInf", "IsNaN", "Less", "LessOrEqual",
        "MatMulInteger", "NonMaxSuppression", "NonZero", "Not", "OneHot", "QLinearConv", "QLinearMatMul",
        "QuantizeLinear", "Round", "Sign",
    }
)  # fmt: skip

# Quantised weights are integers: no gradient step exists for them, wherever they stand.
_QUANTISED = frozenset(
    {
        "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv",
        "QLinearMatMul", "QuantizeLinear",
    }
)  # fmt: skip

# Their outputs depend on shapes alone: no gradient is expected, and none is missed.
_SHAPE_ONLY = frozenset({"Shape", "Size"})


@dataclass(frozen=True)
class GraphWeights:
    """The weights of a graph by tensor name, in the graph's order, and the operations that block them."""

    names: tuple[str, ...]
    blocking_operations: tuple[str, ...]


def find_weights(graph: onnx.GraphProto, output: str) -> GraphWeights:
    """Find the trainable constants on the way to `output`, by the role in which they are used.

    A constant is a weight if it enters a learned layer, or if it is a vector that is added to or multiplied
    with what a learned layer computed (a bias, a scale). Shapes, an input's mean and standard deviation, and
    batch statistics are no weights.
    """
    names = _weight_names(graph)
    with_gradient = _reaching(graph, output, lambda node: node.op_type in _BLOCKING)
    at_all = _reaching(graph, output, lambda node: False)
    blocked = [name for name in names if name in at_all and name not in with_gradient]
    blockers = _blockers(graph, at_all, blocked)
    quantised = [node.op_type for node in graph.node if node.op_type in _QUANTISED]
    trainable = tuple(name for name in names if name in with_gradient)
    return GraphWeights(trainable, tuple(dict.fromkeys([*quantised, *blockers])))


def blocking_between(graph: onnx.GraphProto, source: str, output: str) -> tuple[str, ...]:
    """Name the operations that cut every gradient path from `output` to `source`; empty if one is open."""
    if source in _reaching(graph, output, lambda node: node.op_type in _BLOCKING):
        return ()
    at_all = _reaching(graph, output, lambda node: False)
    return tuple(dict.fromkeys(_blockers(graph, at_all, [source])))


def _blockers(graph: onnx.GraphProto, reaching: set[str], sources: Iterable[str]) -> list[str]:
    """Name the blocking operations between `sources` and the tensors that reach the output."""
    dependent = _depending_on(graph, sources)
    return [
        node.op_type
        for node in graph.node
        if node.op_type in _BLOCKING
        and reaching.intersection(node.output)
        and dependent.intersection(node.input)
    ]


def _weight_names(graph: onnx.GraphProto) -> list[str]:
    constants = {name: one for name, one in stored_tensors(graph).items() if one.data_type in _FLOAT_TYPES}
    source = {name: name for name in constants}
    learned: set[str] = set()
    weights: dict[str, None] = {}
    statistics: set[str] = set()
    for node in graph.node:
        learns = _WEIGHT_INPUTS.get(node.op_type, ())
        found = [source[name] for i, name in enumerate(node.input) if i in learns and name in source]
        if node.op_type in ("Add", "Mul") and learned.intersection(node.input):
            found = [
                source[name] for name in node.input if name in source and _is_vector(constants[source[name]])
            ]
        weights.update(dict.fromkeys(found))
        if node.op_type == "BatchNormalization":
            statistics.update(source.get(name, name) for name in node.input[3:5])
        if found or learned.intersection(node.input):
            learned.update(node.output)
        elif node.op_type in _FORWARDING and node.input[0] in source:
            source[node.output[0]] = source[node.input[0]]
    # Exporters store equal tensors once: a scale of ones may be a variance of ones too, which must stay.
    return [name for name in weights if name not in statistics]


def _is_vector(tensor: onnx.TensorProto) -> bool:
    return sum(size > 1 for size in tensor.dims) == 1


def _reaching(graph: onnx.GraphProto, output: str, stops: Callable[[onnx.NodeProto], bool]) -> set[str]:
    """Name the tensors from which `output` can be reached without passing a node that `stops`."""
    reached = {output}
    for node in reversed(graph.node):
        if node.op_type in _SHAPE_ONLY or stops(node):
            continue
        if reached.intersection(node.output):
            reached.update(name for name in node.input if name)
    return reached


def _depending_on(graph: onnx.GraphProto, names: Iterable[str]) -> set[str]:
    dependent = set(names)
    for node in graph.node:
        if node.op_type not in _SHAPE_ONLY and dependent.intersection(node.input):
            dependent.update(name for name in node.output if name)
    return dependent
