"""A copy of an ONNX graph, prepared for onnx2fx: exactly what one output needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
import onnx.inliner
import onnx2fx
from onnx import TensorProto

from defuse_engine.models.onnx_graph.graph_editing import (
    as_float32,
    constants_as_initializers,
    graph_input,
    keep_only,
    rename,
    subgraphs,
)
from defuse_engine.models.onnx_graph.graph_weights import blocking_between, find_weights
from defuse_engine.models.onnx_graph.linear_classifier import as_layers
from defuse_engine.models.onnx_graph.runnable_form import without_zipmap
from defuse_engine.models.onnx_graph.stored_weights import storable_names
from defuse_engine.models.torch_form import onnx_operators

onnx_operators.register()


@dataclass(frozen=True)
class TorchGraph:
    """The copy, and the names of its tensors in the original."""

    model: onnx.ModelProto
    input: onnx.ValueInfoProto
    output: str
    weights: dict[str, str]
    """Name in the copy to name in the original, of trainable tensors only."""
    unsupported_operations: tuple[str, ...]
    """Operations that onnx2fx lacks."""
    weight_blockers: tuple[str, ...]
    """Operations that keep the gradient from a weight."""
    input_blockers: tuple[str, ...]
    """Operations that keep the gradient from the input."""


def prepare(model: onnx.ModelProto, output: str) -> TorchGraph:
    """Copy `model`, drop what `output` does not need, and give stored tensors unambiguous names.

    onnx2fx turns `fc.weight` and `fc_weight` into one attribute, so every stored tensor is renamed first.
    The copy computes float16 in float32: small steps of fine-tuning would be lost in float16's 11 bits.
    An input of integers becomes float32, because a gradient must reach it.
    """
    writable = storable_names(model.graph)
    copy = without_zipmap(model)
    if copy.functions:
        copy = onnx.inliner.inline_local_functions(copy)
    as_layers(copy.graph)
    keep_only(copy.graph, {output})
    constants_as_initializers(copy.graph)
    found = find_weights(copy.graph, output)
    renamed = {tensor.name: f"tensor_{index}" for index, tensor in enumerate(copy.graph.initializer)}
    rename(copy.graph, renamed)
    taken = graph_input(copy.graph)
    between = blocking_between(copy.graph, taken.name, output)
    as_float32(copy.graph, TensorProto.FLOAT16)
    if taken.type.tensor_type.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        taken.type.tensor_type.elem_type = TensorProto.FLOAT
    return TorchGraph(
        model=copy,
        input=taken,
        output=output,
        weights={renamed[name]: name for name in found.names if name in writable},
        unsupported_operations=tuple(dict.fromkeys(_unsupported(copy))),
        weight_blockers=found.blocking_operations,
        input_blockers=between,
    )


def _unsupported(model: onnx.ModelProto) -> list[str]:
    opsets = {opset.domain: opset.version for opset in model.opset_import}

    def lacking(graph: onnx.GraphProto) -> Iterator[str]:
        for node in graph.node:
            if not onnx2fx.is_supported(node.op_type, node.domain, opsets.get(node.domain, 1)):
                yield node.op_type
            for subgraph in subgraphs(node):
                yield from lacking(subgraph)

    return list(lacking(model.graph))
