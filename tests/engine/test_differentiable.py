"""A classifier's ONNX graph can be trained in torch and comes back as the same graph with other numbers."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_graphs import floats, graph
from torch import nn

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.models.device import Runtime
from defuse_engine.models.differentiable import (
    input_differentiable,
    parity_max_abs_error,
    to_torch,
    undifferentiable_operations,
    write_back,
)
from defuse_engine.models.session import Session


def linear(weight_name="fc.weight", bias_name="fc.bias", weight=None):
    weight = floats(3, 6) if weight is None else weight
    node = helper.make_node("Gemm", ["x", weight_name, bias_name], ["y"], transB=1)
    return graph([node], {weight_name: weight, bias_name: floats(3)})


def exported(module: nn.Module, shape: tuple[int, ...], *, dynamic_batch: bool = True) -> bytes:
    """An export by torch's TorchScript exporter that keeps BatchNormalization as it is."""
    stream = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.rand(1, *shape),),
            stream,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}} if dynamic_batch else None,
            dynamo=False,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    return stream.getvalue()


def conv_net() -> nn.Module:
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 3),
        nn.Softmax(1),
    )
    net(torch.rand(64, 1, 8, 8) * 3)  # gives the BatchNorm statistics that are not 0 and 1
    return net


def train_a_little(module, inputs) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        scores = module(inputs)
        (scores * torch.arange(scores.shape[1])).sum(1).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("dynamic_batch", [True, False])
def test_trained_weights_come_back_in_the_original_graph(dynamic_batch):
    original = exported(conv_net(), (1, 8, 8), dynamic_batch=dynamic_batch)
    module, inputs = to_torch(original), torch.rand(5, 1, 8, 8)
    train_a_little(module, inputs)
    written = write_back(original, module)
    assert parity_max_abs_error(written, module, inputs) <= 1e-4
    assert parity_max_abs_error(original, module, inputs) > 1e-3
    before, after = onnx.load_from_string(original), onnx.load_from_string(written)
    assert [t.name for t in after.graph.initializer] == [t.name for t in before.graph.initializer]
    for model in (before, after):
        del model.graph.initializer[:]
    assert before == after


def test_batch_norm_statistics_stay_and_its_scale_is_trained():
    original = exported(conv_net(), (1, 8, 8))
    graph_before = onnx.load_from_string(original).graph
    (batch_norm,) = [node for node in graph_before.node if node.op_type == "BatchNormalization"]
    module = to_torch(original)
    train_a_little(module, torch.rand(5, 1, 8, 8))
    after = {t.name: t for t in onnx.load_from_string(write_back(original, module)).graph.initializer}
    changed = {t.name for t in graph_before.initializer if t != after[t.name]}
    _, scale, bias, mean, variance = batch_norm.input
    assert {scale, bias} <= changed
    assert not {mean, variance} & changed


def test_a_sample_is_scored_alike_alone_and_in_a_batch():
    module = to_torch(exported(conv_net(), (1, 8, 8)))
    inputs = torch.rand(5, 1, 8, 8)
    assert torch.allclose(module(inputs)[2:3], module(inputs[2:3]), atol=1e-6)


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


def test_numbers_kept_in_float_data_are_replaced_where_they_are():
    weight = helper.make_tensor("fc.weight", TensorProto.FLOAT, [3, 6], floats(18).tolist())
    original = linear(weight=weight).SerializeToString()
    module, inputs = to_torch(original), torch.rand(4, 6)
    train_a_little(module, inputs)
    written = write_back(original, module)
    assert parity_max_abs_error(written, module, inputs) <= 1e-5
    stored = onnx.load_from_string(written).graph.initializer[0]
    assert len(stored.float_data) == 18
    assert not stored.raw_data


def test_names_that_differ_only_in_punctuation_stay_two_weights():
    nodes = [
        helper.make_node("Gemm", ["x", "fc.1", "b"], ["h"], transB=1),
        helper.make_node("MatMul", ["h", "fc_1"], ["y"]),
    ]
    original = graph(nodes, {"fc.1": floats(3, 6), "fc_1": floats(3, 3), "b": floats(3)}).SerializeToString()
    module, inputs = to_torch(original), torch.rand(4, 6)
    train_a_little(module, inputs)
    assert sorted(module.weights.values()) == ["b", "fc.1", "fc_1"]
    assert parity_max_abs_error(write_back(original, module), module, inputs) <= 1e-5


def test_weights_in_constant_nodes_are_trained_and_written_back():
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(floats(6, 3))),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "b"], ["y"]),
    ]
    original = graph(nodes, {"b": floats(3)}).SerializeToString()
    module, inputs = to_torch(original), torch.rand(4, 6)
    train_a_little(module, inputs)
    assert sorted(module.weights.values()) == ["b", "w"]
    assert parity_max_abs_error(write_back(original, module), module, inputs) <= 1e-5


def test_the_normalisation_inside_a_graph_is_not_trained():
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "inverse_std"], ["normal"]),
        helper.make_node("Gemm", ["normal", "w", "b"], ["y"], transB=1),
    ]
    tensors = {"mean": floats(6), "inverse_std": floats(6), "w": floats(3, 6), "b": floats(3)}
    module = to_torch(graph(nodes, tensors).SerializeToString())
    assert sorted(module.weights.values()) == ["b", "w"]


def test_a_label_output_beside_the_scores_is_no_obstacle():
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1),
        helper.make_node("ArgMax", ["y"], ["label"], axis=1),
    ]
    outputs = [("label", ["n", 1], TensorProto.INT64), ("y", ["n", 3])]
    original = graph(nodes, {"w": floats(3, 6), "b": floats(3)}, outputs=outputs).SerializeToString()
    module, inputs = to_torch(original), torch.rand(4, 6)
    train_a_little(module, inputs)
    written = write_back(original, module)
    assert len(onnx.load_from_string(written).graph.output) == 2
    assert parity_max_abs_error(written, module, inputs) <= 1e-5


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


def tree_ensemble():
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "y"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        class_treeids=[0, 0],
        class_nodeids=[1, 2],
        class_ids=[0, 1],
        class_weights=[1.0, 1.0],
        classlabels_int64s=[0, 1],
    )
    model = helper.make_model(
        helper.make_graph(
            [node],
            "trees",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
            [
                helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
                helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2]),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=9,
    )
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("model", "operation"),
    [
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


def test_a_differentiable_model_names_no_operation():
    assert undifferentiable_operations(linear().SerializeToString()) == []


def test_bytes_that_are_no_model_are_refused_as_such():
    with pytest.raises(InvalidModel) as caught:
        to_torch(b"\xff\xfe no model")
    assert caught.value.reason is Reason.MODEL_NOT_ONNX


def test_a_statistic_that_is_stored_once_with_a_weight_is_not_trained():
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("BatchNormalization", ["h", "ones", "zeros", "zeros", "ones"], ["y"]),
    ]
    tensors = {"w": floats(3, 6), "b": floats(3), "ones": np.ones(3, np.float32), "zeros": floats(3) * 0}
    module = to_torch(graph(nodes, tensors).SerializeToString())
    assert sorted(module.weights.values()) == ["b", "w"]


def test_a_gradient_reaches_the_input_of_a_model_without_trainable_weights():
    model = quantised()
    module = input_differentiable(model)
    inputs = torch.rand(4, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(inputs)[:, 0].sum(), inputs)
    assert bool(gradient.any())
    assert not list(module.parameters())
    assert parity_max_abs_error(model, module, inputs) <= 1e-5


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


@pytest.mark.parametrize(("model", "operation"), [(argmax_scores, "ArgMax"), (tree_ensemble, "Tree")])
def test_the_operation_that_keeps_the_gradient_from_the_input_is_named(model, operation):
    with pytest.raises(InvalidModel, match=operation) as caught:
        input_differentiable(model())
    assert caught.value.reason is Reason.MODEL_NOT_DIFFERENTIABLE
