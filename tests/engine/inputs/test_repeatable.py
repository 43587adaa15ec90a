"""A model must answer the same item in the same way; what differs by more than rounding is refused."""

import io
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from defuse_engine.errors import EngineError, Reason
from defuse_engine.models.onnx_graph.unsteady_operations import unsteady_operations
from tests.models import handmade_classifiers, handmade_vaes


def exported(training: bool, *layers: nn.Module, batch: int | None = None) -> bytes:
    """Export a classifier of the analytic images with torch's exporter, before or after model.eval()."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 32), *layers, nn.Linear(32, 2)).train(training)
    mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.rand(batch or 4, 1, 2, 3),),
            file,
            dynamo=False,
            training=mode,
            do_constant_folding=not training,
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes=None if batch else {"x": {0: "n"}, "logits": {0: "n"}},
        )
    return file.getvalue()


def with_tail(graphs, nodes, constants=()) -> bytes:
    """Return the analytic classifier with `nodes` between its scores, called `raw`, and its output."""
    model = onnx.load_model_from_string(graphs.classifier())
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), name) for name, v in constants)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def noisy(graphs, scale=1.0):
    nodes = [
        helper.make_node("RandomNormalLike", ["raw"], ["noise"], scale=scale),
        helper.make_node("Add", ["raw", "noise"], ["logits"]),
    ]
    return with_tail(graphs, nodes)


def dropping(graphs):
    constants = [("share", np.float32(0.3)), ("training", np.array(True))]
    return with_tail(
        graphs, [helper.make_node("Dropout", ["raw", "share", "training"], ["logits"])], constants
    )


def centred_over_the_batch(graphs):
    nodes = [
        helper.make_node("ReduceMean", ["raw"], ["mean"], axes=[0]),
        helper.make_node("Sub", ["raw", "mean"], ["logits"]),
    ]
    return with_tail(graphs, nodes)


def softmax_over_the_batch(graphs):
    return with_tail(graphs, [helper.make_node("Softmax", ["raw"], ["logits"], axis=0)])


def noise_in_a_branch(graphs):
    def branch(name, *nodes):
        value = helper.make_tensor_value_info(f"{name}_out", onnx.TensorProto.FLOAT, ["n", 2])
        return helper.make_graph(list(nodes), name, [], [value])

    then = branch(
        "then",
        helper.make_node("RandomUniformLike", ["raw"], ["inner"]),
        helper.make_node("Add", ["raw", "inner"], ["then_out"]),
    )
    other = branch("else", helper.make_node("Identity", ["raw"], ["else_out"]))
    nodes = [helper.make_node("If", ["always"], ["logits"], then_branch=then, else_branch=other)]
    return with_tail(graphs, nodes, [("always", np.array(True))])


def noise_in_a_function(graphs):
    model = onnx.load_model_from_string(
        with_tail(graphs, [helper.make_node("Identity", ["raw"], ["logits"])])
    )
    opset = helper.make_opsetid("", 17)
    inner = [
        helper.make_node("RandomNormalLike", ["a"], ["noise"]),
        helper.make_node("Add", ["a", "noise"], ["b"]),
    ]
    model.functions.append(helper.make_function("local", "Jitter", ["a"], ["b"], inner, [opset]))
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.graph.node[-1].CopyFrom(helper.make_node("Jitter", ["raw"], ["logits"], domain="local"))
    onnx.checker.check_model(model)
    return model.SerializeToString()


UNSTEADY = {
    "batch norm of a training": (
        lambda g: exported(True, nn.BatchNorm1d(32)),
        "BatchNormalization (training_mode=1)",
        "model.eval()",
    ),
    "batch norm of a training, batch of 4": (
        lambda g: exported(True, nn.BatchNorm1d(32), batch=4),
        "BatchNormalization (training_mode=1)",
        "model.eval()",
    ),
    "dropout at work": (dropping, "Dropout (training_mode=1)", "TrainingMode.EVAL"),
    "noise": (noisy, "RandomNormalLike", "random draw"),
    "little noise": (lambda g: noisy(g, scale=1e-3), "RandomNormalLike", "random draw"),
    "noise in a branch": (noise_in_a_branch, "RandomUniformLike", "random draw"),
    "noise in a function": (noise_in_a_function, "RandomNormalLike", "random draw"),
    "a mean over the batch": (
        centred_over_the_batch,
        "ReduceMean (over the batch axis)",
        "not over the batch",
    ),
    "softmax over the batch": (softmax_over_the_batch, "Softmax (over the batch axis)", "not over the batch"),
}


@pytest.mark.parametrize(("make", "operation", "remedy"), UNSTEADY.values(), ids=UNSTEADY)
@pytest.mark.parametrize("kind", ["inspect_classifier", "audit"])
def test_a_classifier_that_answers_differently_is_refused_and_the_cause_named(
    kind, make, operation, remedy, graphs, make_job, do_job
):
    with pytest.raises(EngineError) as caught:
        do_job(make_job(kind, files={"classifier.onnx": make(graphs)}))
    assert caught.value.reason is Reason.MODEL_NOT_REPEATABLE
    assert operation in caught.value.figures["operations"]
    assert operation in caught.value.message
    assert remedy in caught.value.message


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_the_same_network_after_eval_is_taken(batch, make_job, do_job):
    model = exported(False, nn.BatchNorm1d(32), nn.Dropout(0.5), batch=batch)
    assert do_job(make_job("inspect_classifier", files={"classifier.onnx": model}))["warnings"] == []


def test_the_steps_of_a_dynamic_quantisation_are_rounding(make_job, do_job):
    """They depend on the largest value of the batch; an answer moves by a step or so."""
    folder = make_job(
        "inspect_classifier",
        files={"classifier.onnx": handmade_classifiers.quantised_operators()},
        inputs={"classifier": {"preprocessing": {"layout": "FLAT"}}},
    )
    assert do_job(folder)["warnings"] == []


def test_a_classifier_that_is_unsteady_only_on_real_items_is_refused_at_the_start_of_a_job(
    graphs, make_job, do_job
):
    """Noise grows with the brightness above 1, which the inputs of an inspection never reach."""
    nodes = [
        helper.make_node("Sub", ["x", "one"], ["above"]),
        helper.make_node("Relu", ["above"], ["bright"]),
        helper.make_node("ReduceMax", ["bright"], ["brightest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["brightest", "last"], ["column"]),
        helper.make_node("RandomNormalLike", ["raw"], ["noise"]),
        helper.make_node("Mul", ["noise", "column"], ["scaled"]),
        helper.make_node("Add", ["raw", "scaled"], ["logits"]),
    ]
    model = with_tail(graphs, nodes, [("one", np.float32(1)), ("last", np.array([1]))])
    inspected = do_job(make_job("inspect_classifier", files={"classifier.onnx": model}, name="pushed"))
    assert "RandomNormalLike" in inspected["warnings"][0]["message"]
    with pytest.raises(EngineError) as caught:
        do_job(make_job(files={"classifier.onnx": model}))
    assert caught.value.reason is Reason.MODEL_NOT_REPEATABLE


def test_a_candidate_that_answers_differently_is_refused(graphs, follow_up, do_job):
    folder = follow_up("evaluate", {"audit": {}, "audit_seed": 1}, candidate=noisy(graphs))
    with pytest.raises(EngineError, match="the candidate classifier answers") as caught:
        do_job(folder)
    assert caught.value.reason is Reason.MODEL_NOT_REPEATABLE


def sampling_encoder(graphs, outputs) -> bytes:
    """Return an encoder with mu and logvar, of which z is drawn; `outputs` are those that it gives."""
    model = onnx.load_model_from_string(graphs.encoder())
    model.graph.node.extend(
        [
            helper.make_node("RandomNormalLike", ["mu"], ["noise"]),
            helper.make_node("Add", ["mu", "noise"], ["z"]),
        ]
    )
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 2]) for name in outputs
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_an_encoder_may_give_a_sample_beside_mu(graphs, make_job, do_job):
    files = {"encoder.onnx": sampling_encoder(graphs, ["mu", "logvar", "z"])}
    result = do_job(make_job("inspect_vae", files=files, name="pushed"))
    (warning,) = result["warnings"]
    assert warning["reason"] == "UNSTEADY_OPERATIONS"
    assert "RandomNormalLike" in warning["message"]
    assert do_job(make_job(files=files, config={"max_seeds": 100}))["preflight"]["readability"] > 0.99


@pytest.mark.parametrize("kind", ["inspect_vae", "audit"])
def test_an_encoder_that_gives_a_sample_in_place_of_mu_is_refused(kind, graphs, make_job, do_job):
    with pytest.raises(EngineError, match="mu and logvar as outputs, not a sample") as caught:
        do_job(make_job(kind, files={"encoder.onnx": sampling_encoder(graphs, ["z"])}))
    assert caught.value.reason is Reason.MODEL_NOT_REPEATABLE


@pytest.mark.parametrize("kind", ["inspect_vae", "audit"])
def test_a_decoder_that_draws_is_refused(kind, graphs, make_job, do_job):
    model = onnx.load_model_from_string(graphs.decoder())
    model.graph.node[-1].output[0] = "plain"
    model.graph.node.extend(
        [
            helper.make_node("RandomUniformLike", ["plain"], ["noise"]),
            helper.make_node("Add", ["plain", "noise"], ["image"]),
        ]
    )
    with pytest.raises(EngineError, match="the VAE's decoder answers the same item differently") as caught:
        do_job(make_job(kind, files={"decoder.onnx": model.SerializeToString()}))
    assert caught.value.reason is Reason.MODEL_NOT_REPEATABLE


def test_one_file_with_a_draw_between_its_halves_is_taken(make_job, do_job):
    folder = make_job(
        "inspect_vae",
        files={"encoder.onnx": handmade_vaes.both()},
    )
    job = (folder / "job.json").read_text().replace(', "decoder": "inputs/decoder.onnx"', "")
    (folder / "job.json").write_text(job)
    assert do_job(folder)["warnings"] == []


OLD_FORMS = {
    "dropout of opset 6": ("Dropout", ["x"], ["y"], {"is_test": 0}, 6, "Dropout (is_test=0)"),
    "dropout of opset 6, of a test": ("Dropout", ["x"], ["y"], {"is_test": 1}, 6, None),
    "dropout of opset 11": ("Dropout", ["x"], ["y"], {"ratio": 0.5}, 11, None),
    "dropout of opset 13 without a mode": ("Dropout", ["x"], ["y"], {}, 13, None),
    "batch norm of opset 9": (
        "BatchNormalization",
        ["x", "s", "s", "s", "s"],
        ["y", "m", "v"],
        {},
        9,
        "BatchNormalization (statistics as outputs)",
    ),
    "batch norm of opset 9, one output": (
        "BatchNormalization",
        ["x", "s", "s", "s", "s"],
        ["y"],
        {},
        9,
        None,
    ),
    "a sum over everything": ("ReduceSum", ["x"], ["y"], {}, 17, "ReduceSum (over the batch axis)"),
    "a sum over the last axes": ("ReduceMax", ["x"], ["y"], {"axes": [-1, -2]}, 17, None),
    "a sum over the first axis from behind": (
        "ReduceMax",
        ["x"],
        ["y"],
        {"axes": [-4]},
        17,
        "ReduceMax (over the batch axis)",
    ),
    "normalised over the batch": (
        "MeanVarianceNormalization",
        ["x"],
        ["y"],
        {},
        13,
        "MeanVarianceNormalization (over the batch axis)",
    ),
    "a sum of weights": ("ReduceSum", ["s"], ["y"], {}, 17, None),
}


@pytest.mark.parametrize(
    ("operation", "inputs", "outputs", "attributes", "opset", "expected"), OLD_FORMS.values(), ids=OLD_FORMS
)
def test_the_forms_of_an_operation_are_told_apart(operation, inputs, outputs, attributes, opset, expected):
    graph = helper.make_graph(
        [helper.make_node(operation, inputs, outputs, **attributes)],
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(3, np.float32), "s")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)
    found = [one.operation for one in unsteady_operations(model, ("y",))]
    assert found == ([expected] if expected else [])
