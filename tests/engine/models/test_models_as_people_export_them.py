"""The models of the benchmark's table, and how their outputs are told apart."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from bench.models import run
from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.models.torch_form.differentiable import parity_max_abs_error, to_torch, write_back
from defuse_engine.types import Preprocessing
from tests.models import handmade_classifiers as made

FLAT, NHWC = Preprocessing(layout="FLAT"), Preprocessing(layout="NHWC")


def open_classifier(
    model: bytes, preprocessing: Preprocessing = FLAT, output: str | None = None
) -> Classifier:
    return Classifier(model, preprocessing, "logits", Runtime(), output=output)


def test_every_model_of_the_table_passes_all_its_steps(monkeypatch):
    monkeypatch.delenv("MODELS", raising=False)
    figures = run("cpu")
    assert figures["problems"] == {}
    assert figures["passed"] == figures["total"] >= 60


def test_files_of_a_folder_join_the_table(monkeypatch, tmp_path):
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "good.onnx").write_bytes(made.sklearn_network())
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    monkeypatch.setenv("MODELS", str(tmp_path))
    monkeypatch.setattr("bench.models.cases", list)
    figures = run("cpu")
    assert (figures["passed"], figures["total"], figures["failed"]) == (1, 2, ["broken.onnx"])


def test_several_outputs_that_could_hold_scores_are_listed():
    with pytest.raises(InvalidModel, match=r"output_name.*--output") as caught:
        open_classifier(made.two_heads())
    assert caught.value.reason is Reason.MODEL_SIGNATURE
    assert caught.value.figures["candidates"] == "features, logits, probabilities"


def test_the_named_output_holds_the_scores():
    classifier = open_classifier(made.two_heads(), output="probabilities")
    images = np.random.default_rng(0).random((3, 3, 2, 2), np.float32)
    assert classifier(images).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_an_output_that_the_model_lacks_is_refused_with_those_it_has():
    with pytest.raises(InvalidModel, match=r"no output 'scores'.*'logits'"):
        open_classifier(made.two_heads(), output="scores")


def test_a_named_output_of_another_rank_is_refused():
    model = onnx.load_from_string(made.layers(17))
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("maps", onnx.TensorProto.FLOAT, ["n", 4, 8, 8])
    )
    with pytest.raises(InvalidModel, match=r"must be \(batch, classes\)"):
        open_classifier(model.SerializeToString(), Preprocessing(), "maps")


def test_labels_alone_are_refused_with_advice():
    model = onnx.load_from_string(made.sklearn_linear())
    del model.graph.output[1]
    with pytest.raises(InvalidModel, match="labels alone cannot be audited"):
        open_classifier(model.SerializeToString())


def test_scores_in_dictionaries_are_read_as_the_tensor_that_they_came_from():
    images = np.random.default_rng(0).random((3, 3, 2, 2), np.float32)
    plain = open_classifier(made.sklearn_linear())(images)
    assert open_classifier(made.sklearn_linear(zipmap=True))(images) == pytest.approx(plain)


def test_weights_in_attributes_are_trained_and_come_back_there():
    original = made.sklearn_linear(zipmap=True)
    module, inputs = to_torch(original), torch.rand(4, 12)
    module(inputs)[:, 0].sum().backward()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.sign(weight.grad))
    written = write_back(original, module)
    assert parity_max_abs_error(written, module, inputs) <= 1e-5
    assert parity_max_abs_error(original, module, inputs) > 1e-3
    before, after = onnx.load_from_string(original), onnx.load_from_string(written)
    assert [node.op_type for node in after.graph.node] == [node.op_type for node in before.graph.node]


def test_an_input_of_bytes_takes_values_rounded_and_cut_off_at_its_ends():
    model = made.keras_convolution(byte_input=True)
    images = np.random.default_rng(0).uniform(-20, 300, (2, 3, 8, 8)).astype(np.float32)
    whole = np.clip(np.round(images), 0, 255)
    classifier = open_classifier(model, NHWC)
    assert np.array_equal(classifier(images), classifier(whole))
