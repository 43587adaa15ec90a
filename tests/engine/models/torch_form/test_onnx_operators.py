"""What an operation computes in torch is what onnxruntime computes, and has its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from defuse_engine.models.torch_form.differentiable import (
    input_differentiable,
    parity_max_abs_error,
    to_torch,
)
from defuse_engine.models.torch_form.silu import silu
from tests.models.onnx_graphs import floats, graph


def test_bytes_that_the_graph_casts_are_differentiated_as_floats():
    nodes = [
        helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "share"], ["small"]),
        helper.make_node("Gemm", ["small", "w"], ["y"], transB=1),
    ]
    model = graph(nodes, {"share": np.array(1 / 255, np.float32), "w": floats(3, 6)})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    module = input_differentiable(model.SerializeToString())
    inputs = torch.full((2, 6), 100.0, requires_grad=True)
    module(inputs).sum().backward()
    assert inputs.grad is not None
    assert bool(inputs.grad.any())


def test_a_decoder_gives_images_and_their_gradient():
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["flat"], transB=1),
        helper.make_node("Reshape", ["flat", "shape"], ["y"]),
    ]
    weight = floats(16, 6)
    model = graph(
        nodes,
        {"w": weight, "shape": np.array([-1, 1, 4, 4], np.int64)},
        outputs=[("y", ["n", 1, 4, 4])],
    ).SerializeToString()
    codes = torch.rand(2, 6, requires_grad=True)
    images = input_differentiable(model)(codes)
    assert images.shape == (2, 1, 4, 4)
    (gradient,) = torch.autograd.grad(images[0, 0, 0, 1], codes)
    assert torch.allclose(gradient[0], torch.from_numpy(weight[1]), atol=1e-6)


@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
@pytest.mark.parametrize(("mode", "nearest"), [("nearest", "floor"), ("linear", "floor"), ("cubic", "floor")])
def test_images_are_resized_as_onnxruntime_does(coordinates, mode, nearest):
    resize = helper.make_node(
        "Resize",
        ["x", "", "scales"],
        ["y"],
        coordinate_transformation_mode=coordinates,
        mode=mode,
        nearest_mode=nearest,
    )
    model = graph(
        [resize],
        {"scales": np.array([1, 1, 2, 3], np.float32)},
        inputs=[("x", ["n", 1, 4, 5])],
        outputs=[("y", ["n", 1, 8, 15])],
    ).SerializeToString()
    assert parity_max_abs_error(model, input_differentiable(model), torch.rand(2, 1, 4, 5)) <= 1e-4


def test_negative_indices_are_gathered_from_the_end():
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], transB=1),
        helper.make_node("Gather", ["h", "which"], ["y"], axis=1),
    ]
    tensors = {"w": floats(4, 6), "which": np.array([-1, 0, -2], np.int64)}
    model = graph(nodes, tensors).SerializeToString()
    assert parity_max_abs_error(model, to_torch(model), torch.rand(2, 6)) <= 1e-5


@pytest.mark.parametrize("order", [["x", "s"], ["s", "x"]])
def test_silu_is_one_operation(order):
    nodes = [helper.make_node("Sigmoid", ["x"], ["s"]), helper.make_node("Mul", order, ["y"])]
    model = graph(nodes, {}, outputs=(("y", ["n", 6]),))
    module = input_differentiable(model.SerializeToString())
    assert [node.target for node in module.graph_module.graph.nodes if node.op == "call_function"] == [silu]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_of_silu_is_torchs_whatever_the_layouts(dtype):
    x = torch.randn(3, 4, 5, 6, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn(3, 4, 5, 6, dtype=dtype)
    assert gradient.stride() != x.stride()
    (ours,) = torch.autograd.grad(silu(x), x, gradient)
    (torchs,) = torch.autograd.grad(torch.nn.functional.silu(x), x, gradient)
    torch.testing.assert_close(ours, torchs)
    assert ours.stride() == x.stride()


def test_a_sigmoid_that_is_used_elsewhere_stays():
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Mul", ["x", "s"], ["m"]),
        helper.make_node("Add", ["m", "s"], ["y"]),
    ]
    model = graph(nodes, {}, outputs=(("y", ["n", 6]),))
    module = input_differentiable(model.SerializeToString())
    inputs = torch.randn(4, 6)
    torch.testing.assert_close(module(inputs), inputs * inputs.sigmoid() + inputs.sigmoid())
