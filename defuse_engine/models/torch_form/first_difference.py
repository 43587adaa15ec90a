"""The operation to blame if a graph's torch form fails, or differs from onnxruntime."""

from __future__ import annotations

import bisect

import numpy as np
import onnx
import onnx2fx
import torch
from torch import Tensor

from defuse_engine.models.onnx_graph.graph_editing import keep_only
from defuse_engine.models.onnx_graph.reference_run import ReferenceRun


def first_difference(model: onnx.ModelProto, inputs: Tensor, tolerance: float) -> str:
    """Return the type of the first node of `model` after which torch and onnxruntime disagree.

    It is found by bisection: whatever follows a wrong value counts as wrong. `tolerance` is relative to the
    largest value, or to 1. The last node is named if no smaller part of the graph shows the difference.
    """
    nodes = [node for node in model.graph.node if node.output]
    before_last = range(len(nodes) - 1)
    first = bisect.bisect_left(
        before_last, True, key=lambda number: not _agrees(model, nodes[number].output[0], inputs, tolerance)
    )
    return nodes[first].op_type if nodes else "Identity"


def _agrees(model: onnx.ModelProto, tensor: str, inputs: Tensor, tolerance: float) -> bool:
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.output[:]
    part.graph.output.append(onnx.ValueInfoProto(name=tensor))
    keep_only(part.graph, {tensor})
    try:
        theirs = ReferenceRun(part, tensor).run(inputs)
    except Exception:  # that onnxruntime does not run a part says nothing of torch
        return True
    try:
        with torch.no_grad():
            ours = onnx2fx.convert(part)(inputs).float().cpu().numpy()
    except Exception:  # whatever onnx2fx or torch raise, this part holds the operation in the way
        return False
    scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max(initial=0.0) <= tolerance * scale)
