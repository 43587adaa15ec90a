"""A graph with a fixed batch size runs any number of inputs: opened where that is allowed, else in parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import helper

from defuse_engine.models.device import Runtime
from defuse_engine.models.session import Session
from defuse_engine.models.torch_form.differentiable import parity_max_abs_error, to_torch
from tests.models.onnx_graphs import floats, graph


def batch_of_two(*, in_disguise: bool) -> bytes:
    """A graph declared for a batch of 2; where the batch enters in disguise, no other can run."""
    if in_disguise:
        nodes = [
            helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0]),
            helper.make_node("Reshape", ["turned", "shape"], ["pairs"]),
            helper.make_node("Transpose", ["pairs"], ["back"], perm=[2, 0, 1]),
            helper.make_node("Reshape", ["back", "flat"], ["h"]),
        ]
        shapes = {"shape": np.array([3, 2, 2], np.int64), "flat": np.array([-1, 6], np.int64)}
    else:
        nodes = [helper.make_node("Reshape", ["x", "shape"], ["h"])]
        shapes = {"shape": np.array([2, 6], np.int64)}
    nodes.append(helper.make_node("Gemm", ["h", "w", "b"], ["y"], transB=1))
    return graph(
        nodes,
        {**shapes, "w": floats(3, 6), "b": floats(3)},
        inputs=[("x", [2, 6])],
        outputs=[("y", [2, 3])],
    ).SerializeToString()


def test_a_graph_that_insists_on_its_batch_size_is_run_in_parts():
    model = batch_of_two(in_disguise=True)
    module = to_torch(model)
    assert module.fixed_batch_size == 2
    assert parity_max_abs_error(model, module, torch.rand(5, 6)) <= 1e-5


def test_a_batch_size_that_only_a_shape_fixes_is_opened():
    model = batch_of_two(in_disguise=False)
    module, inputs = to_torch(model), torch.rand(5, 6)
    assert module.fixed_batch_size is None
    assert parity_max_abs_error(model, module, inputs) <= 1e-5
    session = Session(model, Runtime(batch_size=64), "the model")
    assert session.batch_size == 64
    (output,) = session.signature.outputs
    assert torch.allclose(session.run(inputs, output), module(inputs), atol=1e-5)


@pytest.mark.parametrize("in_disguise", [True, False])
def test_outputs_do_not_depend_on_how_a_fixed_batch_is_filled(in_disguise):
    session = Session(batch_of_two(in_disguise=in_disguise), Runtime(), "the model")
    inputs = torch.rand(2, 6)
    (output,) = session.signature.outputs
    together = session.run(inputs, output)
    assert torch.allclose(torch.cat([session.run(row[None], output) for row in inputs]), together, atol=1e-6)
