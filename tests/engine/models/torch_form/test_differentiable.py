"""A classifier's ONNX graph can be trained in torch and comes back as the same graph with other numbers."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from defuse_engine.models.torch_form.differentiable import parity_max_abs_error, to_torch, write_back
from tests.models.onnx_graphs import floats, graph


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


def test_numbers_kept_in_float_data_are_replaced_where_they_are():
    weight = helper.make_tensor("fc.weight", TensorProto.FLOAT, [3, 6], floats(18).tolist())
    node = helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], transB=1)
    original = graph([node], {"fc.weight": weight, "fc.bias": floats(3)}).SerializeToString()
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


def test_a_statistic_that_is_stored_once_with_a_weight_is_not_trained():
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("BatchNormalization", ["h", "ones", "zeros", "zeros", "ones"], ["y"]),
    ]
    tensors = {"w": floats(3, 6), "b": floats(3), "ones": np.ones(3, np.float32), "zeros": floats(3) * 0}
    module = to_torch(graph(nodes, tensors).SerializeToString())
    assert sorted(module.weights.values()) == ["b", "w"]
