"""The batch size of a decoding half. Exporters take it from the input image, which the half lacks."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from defuse_engine.models.onnx_graph.graph_editing import replace
from defuse_engine.models.onnx_graph.onnx_file import TensorSpec


def batch_alone(node: onnx.NodeProto, specs: dict[str, TensorSpec]) -> bool:
    """Tell whether a node is the Shape of a tensor whose only open size is the batch size."""
    return (
        node.op_type == "Shape"
        and node.input[0] in specs
        and min(specs[node.input[0]].shape[1:], default=1) > 0
    )


def shapes_from_code(graph: onnx.GraphProto, code: str, specs: dict[str, TensorSpec]) -> None:
    """Compute each Shape of a tensor that does not depend on `code` from the code's batch and known sizes."""
    dependent = {code}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if dependent.intersection(node.input):
            dependent.update(node.output)
        elif batch_alone(node, specs):
            nodes += _shape_nodes(graph, node, code, specs[node.input[0]].shape)
            continue
        nodes.append(node)
    replace(graph.node, nodes)


def _shape_nodes(
    graph: onnx.GraphProto, node: onnx.NodeProto, code: str, shape: tuple[int, ...]
) -> list[onnx.NodeProto]:
    window = {attribute.name: attribute.i for attribute in node.attribute}
    axes = range(len(shape))[window.get("start", 0) : window.get("end")]
    name = node.output[0]
    sizes = np.array([shape[axis] for axis in axes if axis > 0], np.int64)
    graph.initializer.append(numpy_helper.from_array(sizes, f"{name}/sizes"))
    if 0 not in axes:
        return [helper.make_node("Identity", [f"{name}/sizes"], [name])]
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), f"{name}/first"))
    return [
        helper.make_node("Shape", [code], [f"{name}/code"]),
        helper.make_node("Gather", [f"{name}/code", f"{name}/first"], [f"{name}/batch"], axis=0),
        helper.make_node("Concat", [f"{name}/batch", f"{name}/sizes"], [name], axis=0),
    ]
