"""Graphs exported for one batch size, changed to take any if a run shows that nothing differs."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from defuse_engine.models.onnx_graph.graph_editing import graph_input, replace, stored_tensors
from defuse_engine.models.onnx_graph.reference_run import ReferenceRun

_BATCHES = 3
"""Batches of the declared size that are run one by one, and at once."""


def declared_batch_size(model: onnx.ModelProto) -> int | None:
    """Return the batch size that the file demands; None if it takes any."""
    dimensions = graph_input(model.graph).type.tensor_type.shape.dim
    return dimensions[0].dim_value if dimensions and dimensions[0].dim_value > 0 else None


def any_batch(model: onnx.ModelProto, outputs: tuple[str, ...]) -> onnx.ModelProto | None:
    """Return a copy that takes batches of any size; None if its `outputs` would differ, or it fails.

    Declared batch sizes are opened. A Reshape to a constant shape that begins with the batch size keeps its
    first axis instead. A run of both files on random inputs decides.
    """
    size = declared_batch_size(model)
    if size is None:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _open_declarations(copy.graph, size)
    _open_reshapes(copy.graph, size)
    try:
        same = all(_runs_alike(model, copy, output, size) for output in outputs)
    except Exception:  # whatever onnxruntime rejects in the copy, the original still runs
        return None
    return copy if same else None


def _runs_alike(model: onnx.ModelProto, copy: onnx.ModelProto, output: str, size: int) -> bool:
    original = ReferenceRun(model, output)
    first = original.inputs()
    generator = torch.Generator().manual_seed(2)
    more = torch.rand((size * (_BATCHES - 1), *first.shape[1:]), generator=generator) * first.max()
    inputs = torch.cat([first, more])
    one_by_one, at_once = original.run(inputs), ReferenceRun(copy, output).run(inputs)
    scale = max(1.0, float(np.abs(one_by_one).max(initial=0.0)))
    return one_by_one.shape == at_once.shape and bool((np.abs(one_by_one - at_once) <= 1e-4 * scale).all())


def _open_declarations(graph: onnx.GraphProto, size: int) -> None:
    del graph.value_info[:]
    for value in [graph_input(graph), *graph.output]:
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and dimensions[0].dim_value == size:
            dimensions[0].dim_param = "batch"


def _open_reshapes(graph: onnx.GraphProto, size: int) -> None:
    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape" and len(node.input) == 2}
    read_elsewhere = {
        name
        for node in graph.node
        for position, name in enumerate(node.input)
        if node.op_type != "Reshape" or position != 1
    }
    tensors = stored_tensors(graph)
    for tensor in (tensors[name] for name in targets - read_elsewhere if name in tensors):
        shape = numpy_helper.to_array(tensor).copy()
        if shape.ndim == 1 and len(shape) and shape[0] == size:
            shape[0] = 0  # Reshape's own sign for: as it comes
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))
    for node in graph.node:
        if node.op_type == "Reshape":
            replace(node.attribute, [a for a in node.attribute if a.name != "allowzero"])
