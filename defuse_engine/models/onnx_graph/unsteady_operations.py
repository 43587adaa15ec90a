"""Operations that make a model answer an item differently: random draws, and those that mix the batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
import onnx.inliner
from onnx import helper, numpy_helper

from defuse_engine.models.onnx_graph.graph_editing import all_inputs, graph_input, stored_tensors, subgraphs
from defuse_engine.models.onnx_graph.runnable_form import opset_version

_RANDOM = {
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
}
_REDUCTIONS = {
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
}
_ALONG_ONE_AXIS = {"Softmax", "LogSoftmax", "Hardmax", "LpNormalization", "CumSum", "TopK"}
_OF_SHAPES = {"Shape", "Size"}
_STATISTICS_ON_DEMAND, _DROPOUT_ON_DEMAND, _NO_TRAINING_FORM = 14, 12, 7
"""Operator sets: BatchNormalization gets `training_mode`, Dropout does; both lose `is_test`."""


Kind = Literal["training", "random", "batch", "rounding"]
"""`training`: Dropout or BatchNormalization in the form of a training. `batch`: it mixes the batch's items.
`rounding`: a quantisation whose step is that of the batch's largest value."""


@dataclass(frozen=True)
class UnsteadyOperation:
    """One node that may make answers differ."""

    kind: Kind
    operation: str
    """Its ONNX name, with what makes it unsteady: `BatchNormalization (training_mode=1)`."""
    node: str
    """The node's name, or that of its first output."""
    decides: bool
    """Whether an output that was asked about is computed from it."""

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers."""
        return self.kind == "random" or self.operation.startswith("Dropout")

    def __str__(self) -> str:
        return f"{self.operation} {self.node!r}"


def unsteady_operations(model: onnx.ModelProto, outputs: tuple[str, ...]) -> list[UnsteadyOperation]:
    """List the unsteady operations of a graph, its subgraphs and its functions, in the graph's order."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    return list(_Search(model, outputs).found())


class _Search:
    def __init__(self, model: onnx.ModelProto, outputs: tuple[str, ...]):
        self._graph, self._opset = model.graph, opset_version(model)
        inferred = onnx.shape_inference.infer_shapes(_without_weights(model)).graph
        self._ranks = {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in [*inferred.input, *inferred.value_info, *inferred.output]
            if value.type.tensor_type.HasField("shape")
        }
        self._needed = _needed(self._graph, set(outputs))
        # Weights and shapes have no batch: what is reduced over them is the same for every item.
        self._of_items = {graph_input(self._graph).name}

    def found(self) -> Iterator[UnsteadyOperation]:
        for node in self._graph.node:
            yield from self._in(node, self._graph, not self._needed.isdisjoint(node.output))

    def _in(self, node: onnx.NodeProto, graph: onnx.GraphProto, decides: bool) -> Iterator[UnsteadyOperation]:
        of_items = node.op_type not in _OF_SHAPES and not self._of_items.isdisjoint(all_inputs(node))
        if of_items:
            self._of_items.update(node.output)
        known = self._known(node, graph, of_items)
        if known is not None:
            yield UnsteadyOperation(*known, node.name or next(iter(node.output), ""), decides)
        for subgraph in subgraphs(node):
            if of_items:
                self._of_items.update(value.name for value in subgraph.input)
            for inner in subgraph.node:
                yield from self._in(inner, subgraph, decides)

    def _known(self, node: onnx.NodeProto, graph: onnx.GraphProto, of_items: bool) -> tuple[Kind, str] | None:
        if node.domain not in ("", "ai.onnx"):
            return None
        name, values = node.op_type, {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if name in _RANDOM:
            return "random", name
        if name == "Dropout" and (how := self._drops(node, graph, values)):
            return "training", f"{name} ({how})"
        if name == "BatchNormalization" and (how := self._measures_batch(node, values)):
            return "training", f"{name} ({how})"
        if name == "DynamicQuantizeLinear" and of_items:
            return "rounding", name
        if of_items and 0 in self._axes(node, graph, values):
            return "batch", f"{name} (over the batch axis)"
        return None

    def _drops(self, node: onnx.NodeProto, graph: onnx.GraphProto, values: dict[str, object]) -> str:
        if self._opset < _NO_TRAINING_FORM:
            return "" if values.get("is_test", 0) else "is_test=0"
        if self._opset < _DROPOUT_ON_DEMAND or len(node.input) < 3 or not node.input[2]:
            return ""
        mode = self._stored(node.input[2], graph)
        return "" if mode is not None and not mode.any() else "training_mode=1"

    def _measures_batch(self, node: onnx.NodeProto, values: dict[str, object]) -> str:
        if self._opset < _NO_TRAINING_FORM:
            return "" if values.get("is_test", 0) else "is_test=0"
        if self._opset < _STATISTICS_ON_DEMAND:
            return "statistics as outputs" if len([name for name in node.output if name]) > 1 else ""
        return "training_mode=1" if values.get("training_mode", 0) else ""

    def _axes(self, node: onnx.NodeProto, graph: onnx.GraphProto, values: dict[str, object]) -> set[int]:
        """Return the axes that a node mixes; empty if it mixes none, or they are not known."""
        rank = self._ranks.get(node.input[0]) if node.input else None
        if node.op_type == "MeanVarianceNormalization":
            axes = values.get("axes", [0, 2, 3])
        elif node.op_type in _REDUCTIONS:
            axes = values.get("axes")
            if axes is None and len(node.input) > 1 and node.input[1]:
                stored = self._stored(node.input[1], graph)
                axes = [] if stored is None else stored.ravel().tolist()
            axes = ([] if values.get("noop_with_empty_axes") else [0]) if axes is None else axes
        elif node.op_type == "CumSum" and len(node.input) > 1:
            stored = self._stored(node.input[1], graph)
            axes = [] if stored is None else stored.ravel().tolist()
        elif node.op_type in _ALONG_ONE_AXIS:
            axes = [values.get("axis", -1)]
        else:
            return set()
        known = [int(axis) for axis in axes if isinstance(axis, int)] if isinstance(axes, list) else []
        return {axis + rank if axis < 0 and rank else axis for axis in known}

    def _stored(self, name: str, graph: onnx.GraphProto) -> np.ndarray | None:
        tensors = {**stored_tensors(self._graph), **stored_tensors(graph)}
        return numpy_helper.to_array(tensors[name]) if name in tensors else None


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that declares large initializers as inputs: their numbers decide no shape."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = model.graph
    light.graph.node.extend(graph.node)
    light.graph.input.extend(graph.input)
    light.graph.output.extend(graph.output)
    declared = {value.name for value in graph.input}
    for tensor in graph.initializer:
        if len(tensor.dims) <= 1:
            light.graph.initializer.append(tensor)
        elif tensor.name not in declared:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    return light


def _needed(graph: onnx.GraphProto, outputs: set[str]) -> set[str]:
    """Name every tensor of the graph that one of `outputs` is computed from, these included."""
    needed = set(outputs)
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed.update(all_inputs(node))
    return needed
