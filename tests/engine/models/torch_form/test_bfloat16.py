"""A frozen model in bfloat16: nearly the same numbers, or the model as it was."""

import numpy as np
import pytest
import torch
from onnx import helper

from defuse_engine.models.torch_form.bfloat16 import in_bfloat16
from defuse_engine.models.torch_form.differentiable import input_differentiable
from tests.models.onnx_graphs import graph

INPUTS = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def model(shape, *nodes, **constants):
    """The torch form of a graph from images x (n, 1, 4, 4) to y (n, *shape)."""
    made = graph(
        nodes,
        constants,
        inputs=[("x", ["n", 1, 4, 4])],
        outputs=[("y", ["n", *shape])],
    )
    return input_differentiable(made.SerializeToString())


def test_a_scale_leaves_what_follows_it_in_bfloat16():
    rng = np.random.default_rng(0)
    scaled = model(
        (16, 4, 4),
        helper.make_node("Conv", ["x", "weight"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["c", "scale"], ["y"]),
        weight=rng.standard_normal((16, 1, 3, 3)).astype(np.float32),
        scale=rng.standard_normal((16, 1, 1)).astype(np.float32),
    )
    rough = in_bfloat16(scaled, INPUTS)
    assert {tensor.dtype for tensor in rough.graph_module.buffers()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in scaled.graph_module.buffers()} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        assert scaled.graph_module(INPUTS).dtype == torch.float32
        assert rough.graph_module(INPUTS).dtype == torch.bfloat16
        torch.testing.assert_close(rough(INPUTS), scaled(INPUTS), rtol=0.05, atol=0.05)


def test_factors_of_a_resampling_stay_exact():
    # In bfloat16 1.4965 is 1.5, and four pixels become six instead of five.
    resized = model(
        (1, 5, 5),
        helper.make_node("Resize", ["x", "", "scales"], ["r"], mode="linear"),
        helper.make_node("Mul", ["r", "gain"], ["y"]),
        scales=np.array([1.0, 1.0, 1.4965, 1.4965], np.float32),
        gain=np.full((1, 1, 5, 5), 2.0, np.float32),
    )
    rough = in_bfloat16(resized, INPUTS)
    assert rough is not resized
    assert rough(INPUTS).shape == (8, 1, 5, 5)


@pytest.mark.parametrize("offset", [1.0, 1000.0])
def test_a_model_that_needs_its_digits_stays_as_it_is(offset):
    """The difference of two large numbers."""
    noise = np.random.default_rng(1).standard_normal((1, 1, 4, 4)).astype(np.float32)
    close = model(
        (1, 4, 4),
        helper.make_node("Add", ["x", "much"], ["a"]),
        helper.make_node("Sub", ["a", "nearly_as_much"], ["y"]),
        much=offset + noise,
        nearly_as_much=np.float32(offset) + np.zeros((1, 1, 4, 4), np.float32) + np.float32(0.3),
    )
    assert (in_bfloat16(close, INPUTS) is close) == (offset == 1000.0)


def test_a_mixture_that_an_operation_refuses_leaves_the_model_as_it_is():
    rng = np.random.default_rng(2)
    normalised = model(
        (16,),
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("BatchNormalization", ["flat", "scale", "bias", "mean", "var"], ["y"]),
        scale=rng.random(16, np.float32),
        bias=rng.random(16, np.float32),
        mean=rng.random(16, np.float32),
        var=rng.random(16, np.float32),
    )
    assert in_bfloat16(normalised, INPUTS) is normalised
