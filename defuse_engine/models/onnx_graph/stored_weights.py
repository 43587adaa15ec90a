"""The weights stored in an ONNX file, replaced after a training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from defuse_engine.models.onnx_graph import linear_classifier
from defuse_engine.models.onnx_graph.graph_editing import stored_tensors


def storable_names(graph: onnx.GraphProto) -> set[str]:
    """Name the tensors that `store` can write: initializers, Constant nodes, linear classifiers."""
    return {*stored_tensors(graph), *_in_attributes(graph)}


def store(model: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> None:
    """Replace the numbers of the named tensors; topology, names, opset and metadata stay as they are.

    Raises `ValueError` if a shape is not that of the file.
    """
    tensors, nodes = stored_tensors(model.graph), _in_attributes(model.graph)
    for name, weight in weights.items():
        if name in nodes:
            linear_classifier.store(nodes[name], name, weight)
        else:
            _store(tensors[name], weight)


def _in_attributes(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    return {
        name: node
        for node in graph.node
        if linear_classifier.is_linear_classifier(node)
        for name in linear_classifier.weight_names(node)
    }


def _store(tensor: onnx.TensorProto, weight: np.ndarray) -> None:
    """Replace the numbers of `tensor`, in the field that holds them now."""
    expected = numpy_helper.to_array(tensor)
    if weight.shape != expected.shape:
        raise ValueError(f"weight {tensor.name} must keep its shape {expected.shape}, got {weight.shape}")
    values = np.ascontiguousarray(weight, dtype=expected.dtype)
    if tensor.HasField("raw_data"):
        tensor.raw_data = values.astype(values.dtype.newbyteorder("<")).tobytes()
        return
    if tensor.data_type == onnx.TensorProto.FLOAT16:
        values = values.view(np.uint16)  # float16 is kept as bit patterns
    getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type))[:] = values.ravel().tolist()
