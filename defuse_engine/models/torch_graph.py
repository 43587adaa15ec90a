"""A private copy of an ONNX graph, prepared so that onnx2fx converts exactly what the class scores need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import onnx
import onnx.inliner
import onnx2fx

from defuse_engine.models.graph_weights import constant_value, find_weights

_FLOAT_OUTPUTS = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16})


@dataclass(frozen=True)
class TorchGraph:
    """The copy, and how its tensors are named in the original."""

    model: onnx.ModelProto
    input: onnx.ValueInfoProto
    output: str
    weights: dict[str, str]
    """Name in the copy to name in the original, of trainable tensors only."""
    blocking_operations: tuple[str, ...]
    """Operations that onnx2fx lacks, or that no gradient passes."""


def prepare(model: onnx.ModelProto) -> TorchGraph:
    """Copies `model`, drops what its scores do not need, and gives its stored tensors unambiguous names.

    onnx2fx turns `fc.weight` and `fc_weight` into one attribute, so every stored tensor is renamed first.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if copy.functions:
        copy = onnx.inliner.inline_local_functions(copy)
    output = scores_output(copy.graph)
    _keep_only(copy.graph, output)
    found = find_weights(copy.graph, output)
    _store_as_initializers(copy.graph, set(found.names))
    renamed = {tensor.name: f"tensor_{index}" for index, tensor in enumerate(copy.graph.initializer)}
    _rename(copy.graph, renamed)
    stored = set(renamed)
    graph_input = next(value for value in model.graph.input if value.name not in stored)
    return TorchGraph(
        model=copy,
        input=graph_input,
        output=output,
        weights={renamed[name]: name for name in found.names},
        blocking_operations=tuple(dict.fromkeys([*_unsupported(copy), *found.blocking_operations])),
    )


def scores_output(graph: onnx.GraphProto) -> str:
    """Name of the output with the class scores: the first of floats (labels are integers)."""
    floats = [value.name for value in graph.output if value.type.tensor_type.elem_type in _FLOAT_OUTPUTS]
    return floats[0] if floats else graph.output[0].name


def _keep_only(graph: onnx.GraphProto, output: str) -> None:
    needed = {output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(_all_inputs(node))
    _replace(graph.node, reversed(kept))
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])
    _replace(graph.output, [value for value in graph.output if value.name == output])


def _store_as_initializers(graph: onnx.GraphProto, names: set[str]) -> None:
    remaining: list[onnx.NodeProto] = []
    for node in graph.node:
        tensor = constant_value(node)
        if tensor is None or node.output[0] not in names:
            remaining.append(node)
            continue
        stored = graph.initializer.add()
        stored.CopyFrom(tensor)
        stored.name = node.output[0]
    _replace(graph.node, remaining)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for value in [*graph.input, *graph.output]:
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        _replace(node.input, [names.get(name, name) for name in node.input])
        for subgraph in _subgraphs(node):
            _rename(subgraph, names)


def _unsupported(model: onnx.ModelProto) -> list[str]:
    opsets = {opset.domain: opset.version for opset in model.opset_import}

    def lacking(graph: onnx.GraphProto) -> Iterator[str]:
        for node in graph.node:
            if not onnx2fx.is_supported(node.op_type, node.domain, opsets.get(node.domain, 1)):
                yield node.op_type
            for subgraph in _subgraphs(node):
                yield from lacking(subgraph)

    return list(lacking(model.graph))


def _subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]


def _all_inputs(node: onnx.NodeProto) -> Iterator[str]:
    yield from (name for name in node.input if name)
    for subgraph in _subgraphs(node):
        for inner in subgraph.node:
            yield from _all_inputs(inner)
        yield from (value.name for value in subgraph.output)


# protobuf's repeated fields share no type that pyright knows.
def _replace(field: Any, values: Iterable[Any]) -> None:
    kept = list(values)
    del field[:]
    field.extend(kept)
