"""Small changes to an ONNX graph in place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper


# protobuf's repeated fields share no type that pyright knows.
def replace(field: Any, values: Iterable[Any]) -> None:
    """Make `values` the content of a repeated field."""
    kept = list(values)
    del field[:]
    field.extend(kept)


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs that a node holds as attributes (If, Loop, Scan)."""
    return [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]


def all_inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Name every tensor that a node or one of its subgraphs reads."""
    yield from (name for name in node.input if name)
    for subgraph in subgraphs(node):
        for inner in subgraph.node:
            yield from all_inputs(inner)
        yield from (value.name for value in subgraph.output)


def graph_input(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    """Return the input that is no initializer: files of IR version 3 declare those as inputs as well."""
    stored = {tensor.name for tensor in graph.initializer}
    return next(value for value in graph.input if value.name not in stored)


def stored_tensors(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the tensors that a graph stores, by name: initializers, and the `value` of Constant nodes."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    return tensors


def keep_only(graph: onnx.GraphProto, outputs: Collection[str]) -> None:
    """Drop every node and initializer that none of `outputs` needs, and the other declared outputs."""
    needed = set(outputs)
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(all_inputs(node))
    replace(graph.node, reversed(kept))
    replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])
    replace(graph.output, [value for value in graph.output if value.name in outputs])


def rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Give stored tensors other names, wherever they are read."""
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for value in [*graph.input, *graph.output]:
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        replace(node.input, [names.get(name, name) for name in node.input])
        for subgraph in subgraphs(node):
            rename(subgraph, names)


def constants_as_initializers(graph: onnx.GraphProto) -> None:
    """Turn Constant nodes that hold numbers into initializers of the same name."""
    remaining: list[onnx.NodeProto] = []
    for node in graph.node:
        tensor = _constant(node)
        if tensor is None:
            remaining.append(node)
            continue
        stored = graph.initializer.add()
        stored.CopyFrom(tensor)
        stored.name = node.output[0]
    replace(graph.node, remaining)


def as_float32(graph: onnx.GraphProto, kind: int) -> None:
    """Turn every tensor of type `kind` into float32: stored tensors, casts and declarations."""
    for tensor in graph.initializer:
        _tensor_as_float32(tensor, kind)
    for value in [*graph.input, *graph.output]:
        if value.type.tensor_type.elem_type == kind:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == kind:
                attribute.i = TensorProto.FLOAT
            if attribute.type == onnx.AttributeProto.TENSOR:
                _tensor_as_float32(attribute.t, kind)
        for subgraph in subgraphs(node):
            as_float32(subgraph, kind)


def _tensor_as_float32(tensor: onnx.TensorProto, kind: int) -> None:
    if tensor.data_type == kind:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    if node.op_type != "Constant":
        return None
    name, value = node.attribute[0].name, onnx.helper.get_attribute_value(node.attribute[0])
    if name in ("value_float", "value_floats", "value_int", "value_ints"):
        kind = "float32" if name.startswith("value_float") else "int64"
        return numpy_helper.from_array(np.asarray(value, kind))
    return value if name == "value" else None
