"""scikit-learn's linear classifiers, whose weights are attributes, as layers with tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from defuse_engine.models.onnx_graph.graph_editing import replace

_POST_TRANSFORMS = {"NONE": "Identity", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}
_ATTRIBUTES = ("coefficients", "intercepts")


def as_layers(graph: onnx.GraphProto) -> None:
    """Replace each LinearClassifier by MatMul, Add and its post-transform; its labels are dropped.

    The weights become the initializers `{scores}/coefficients` (features, K) and `{scores}/intercepts` (K,),
    the names that `weight_names` gives. A classifier with a single row of coefficients, whose second class is
    implied, stays as it is.
    """
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        attributes = _attributes(node) if is_linear_classifier(node) else {}
        post = _POST_TRANSFORMS.get(attributes.get("post_transform", b"NONE").decode(), "")
        classes = len(attributes.get("classlabels_ints", ()) or attributes.get("classlabels_strings", ()))
        rows = len(attributes.get("intercepts", ())) or classes
        if not attributes or not post or rows != classes:
            nodes.append(node)
            continue
        scores = node.output[1]
        axis: dict[str, Any] = {"axis": 1} if post == "Softmax" else {}
        weights = np.asarray(attributes["coefficients"], np.float32).reshape(rows, -1).T
        biases = np.asarray(attributes.get("intercepts", np.zeros(rows)), np.float32)
        for name, values in zip(_ATTRIBUTES, (weights, biases), strict=True):
            graph.initializer.append(
                numpy_helper.from_array(np.ascontiguousarray(values), f"{scores}/{name}")
            )
        nodes += [
            helper.make_node("Cast", [node.input[0]], [f"{scores}/input"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", [f"{scores}/input", f"{scores}/coefficients"], [f"{scores}/product"]),
            helper.make_node("Add", [f"{scores}/product", f"{scores}/intercepts"], [f"{scores}/sum"]),
            helper.make_node(post, [f"{scores}/sum"], [scores], **axis),
        ]
    replace(graph.node, nodes)


def is_linear_classifier(node: onnx.NodeProto) -> bool:
    """Tell whether a node is scikit-learn's linear classifier."""
    return node.op_type == "LinearClassifier" and node.domain == "ai.onnx.ml" and len(node.output) == 2


def store(node: onnx.NodeProto, tensor_name: str, weight: np.ndarray) -> None:
    """Put a weight that `as_layers` named back into its attribute."""
    wanted = tensor_name.rpartition("/")[2]
    for attribute in node.attribute:
        if attribute.name == wanted:
            attribute.floats[:] = np.ascontiguousarray(weight.T, np.float32).ravel().tolist()


def weight_names(node: onnx.NodeProto) -> list[str]:
    """Return the names that `as_layers` gives the weights of a LinearClassifier."""
    present = {attribute.name for attribute in node.attribute}
    return [f"{node.output[1]}/{name}" for name in _ATTRIBUTES if name in present]


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
