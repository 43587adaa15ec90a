"""A model that can't be corrected, or not searched by its gradient: the operation in the way is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.models.torch_form.differentiable import (
    input_differentiable,
    parity_max_abs_error,
    to_torch,
    undifferentiable_operations,
)
from tests.models.handmade_classifiers import tree_ensemble
from tests.models.onnx_graphs import floats, graph


def argmax_scores():
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("ArgMax", ["h"], ["label"], axis=1, keepdims=0),
        helper.make_node("OneHot", ["label", "depth", "values"], ["y"]),
    ]
    tensors = {
        "w": floats(3, 6),
        "b": floats(3),
        "depth": np.array(3, np.int64),
        "values": np.array([0, 1], np.float32),
    }
    return graph(nodes, tensors).SerializeToString()


def quantised():
    nodes = [
        helper.make_node("DequantizeLinear", ["w8", "scale"], ["w"]),
        helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1),
    ]
    tensors = {
        "w8": (floats(3, 6) * 9).astype(np.int8),
        "scale": np.array(0.1, np.float32),
        "b": floats(3),
    }
    return graph(nodes, tensors).SerializeToString()


def noisy():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("RandomNormalLike", ["h"], ["noise"]),
        helper.make_node("Add", ["h", "noise"], ["y"]),
    ]
    return graph(nodes, {"w": floats(6, 3)}).SerializeToString()


def batch_norm_that_trains():
    nodes = [
        helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["h", "m2", "v2"], training_mode=1),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    ones, zeros = np.ones(6, np.float32), np.zeros(6, np.float32)
    return graph(nodes, {"s": ones, "b": zeros, "m": zeros, "v": ones, "w": floats(6, 3)}).SerializeToString()


def loop():
    tensor = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c_out"]), helper.make_node("Relu", ["s"], ["s_out"])],
        "body",
        [
            tensor("i", TensorProto.INT64, []),
            tensor("c", TensorProto.BOOL, []),
            tensor("s", TensorProto.FLOAT, ["n", 6]),
        ],
        [tensor("c_out", TensorProto.BOOL, []), tensor("s_out", TensorProto.FLOAT, ["n", 6])],
    )
    nodes = [
        helper.make_node("Loop", ["trips", "", "x"], ["h"], body=body),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    return graph(nodes, {"trips": np.array(2, np.int64), "w": floats(6, 3)}).SerializeToString()


@pytest.mark.parametrize(
    ("model", "operation"),
    [
        # What the last operation makes of it is not its fault.
        (noisy, "RandomNormalLike"),
        (batch_norm_that_trains, "BatchNormalization"),
        (loop, "Loop"),
        (argmax_scores, "ArgMax"),
        (quantised, "DequantizeLinear"),
        (tree_ensemble, "TreeEnsembleClassifier"),
    ],
)
def test_the_operation_that_prevents_a_correction_is_named(model, operation):
    model_bytes = model()
    assert operation in undifferentiable_operations(model_bytes)
    with pytest.raises(InvalidModel, match=operation) as caught:
        to_torch(model_bytes)
    assert caught.value.reason is Reason.MODEL_NOT_DIFFERENTIABLE


def test_units_that_open_at_grey_values_alone_are_no_obstacle():
    """In inputs from 0 to 1 all of its units rest: it was trained on 0..255."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    tensors = {"w": np.abs(floats(6, 6)), "b": np.full(6, -30, np.float32), "v": floats(6, 3)}
    original = graph(nodes, tensors).SerializeToString()
    assert undifferentiable_operations(original) == []
    assert len(to_torch(original).weights) == 3


def test_a_differentiable_model_names_no_operation():
    linear = graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)], {"w": floats(3, 6), "b": floats(3)}
    )
    assert undifferentiable_operations(linear.SerializeToString()) == []


def test_bytes_that_are_no_model_are_refused_as_such():
    with pytest.raises(InvalidModel) as caught:
        to_torch(b"\xff\xfe no model")
    assert caught.value.reason is Reason.MODEL_NOT_ONNX


def test_a_gradient_reaches_the_input_of_a_model_without_trainable_weights():
    model = quantised()
    module = input_differentiable(model)
    inputs = torch.rand(4, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(inputs)[:, 0].sum(), inputs)
    assert bool(gradient.any())
    assert not list(module.parameters())
    assert parity_max_abs_error(model, module, inputs) <= 1e-5


@pytest.mark.parametrize(("model", "operation"), [(argmax_scores, "ArgMax"), (tree_ensemble, "Tree")])
def test_the_operation_that_keeps_the_gradient_from_the_input_is_named(model, operation):
    with pytest.raises(InvalidModel, match=operation) as caught:
        input_differentiable(model())
    assert caught.value.reason is Reason.MODEL_NOT_DIFFERENTIABLE
