"""Every bad input is refused with its reason, before it can do harm or cost an hour."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from defuse_engine.errors import EngineError, Reason


def external_data(graphs) -> bytes:
    model = onnx.load_model_from_string(graphs.classifier())
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location="/etc/passwd")
    tensor.ClearField("raw_data")
    return model.SerializeToString()


def two_inputs(graphs) -> bytes:
    return graphs.model(
        [helper.make_node("Add", ["x", "y"], ["sum"]), helper.make_node("Flatten", ["sum"], ["logits"])],
        [("x", ["n", 1, 2, 3]), ("y", ["n", 1, 2, 3])],
        [("logits", ["n", 6])],
    )


def integer_input(graphs) -> bytes:
    return graphs.model(
        [
            helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["float"], ["logits"]),
        ],
        [("x", ["n", 1, 2, 3], TensorProto.INT64)],
        [("logits", ["n", 6])],
    )


def image_output(graphs) -> bytes:
    shape = ["n", 1, 2, 3]
    return graphs.model([helper.make_node("Relu", ["x"], ["y"])], [("x", shape)], [("y", shape)])


CLASSIFIERS = {
    "text": (lambda g: b"I am no model", Reason.MODEL_NOT_ONNX),
    "empty": (lambda g: b"", Reason.MODEL_NOT_ONNX),
    "truncated": (lambda g: g.classifier()[:-40], Reason.MODEL_NOT_ONNX),
    "half": (lambda g: g.classifier()[: len(g.classifier()) // 2], Reason.MODEL_NOT_ONNX),
    "external data": (external_data, Reason.MODEL_EXTERNAL_DATA),
    "two inputs": (two_inputs, Reason.MODEL_SIGNATURE),
    "integer input": (integer_input, Reason.MODEL_SIGNATURE),
    "three axes": (lambda g: g.classifier(item=(2, 3)), Reason.MODEL_SIGNATURE),
    "two axes": (lambda g: g.classifier(item=(6,)), Reason.MODEL_SIGNATURE),
    "an image as output": (image_output, Reason.MODEL_SIGNATURE),
    "one column": (lambda g: g.linear(np.ones((6, 1)), [0.0]), Reason.MODEL_CLASS_COUNT),
}


@pytest.mark.parametrize(("make", "reason"), CLASSIFIERS.values(), ids=CLASSIFIERS)
@pytest.mark.parametrize("kind", ["inspect_classifier", "audit"])
def test_a_bad_classifier_is_refused(kind, make, reason, graphs, make_job, do_job):
    folder = make_job(kind, files={"classifier.onnx": make(graphs)})
    with pytest.raises(EngineError) as caught:
        do_job(folder)
    assert caught.value.reason == reason


AUDIT_CLASSIFIERS = {
    "other images": (lambda g: g.classifier(item=(1, 3, 2)), Reason.MODEL_SIGNATURE),
    "three classes": (lambda g: g.linear(np.ones((6, 3)), np.zeros(3)), Reason.MODEL_CLASS_COUNT),
}


@pytest.mark.parametrize(("make", "reason"), AUDIT_CLASSIFIERS.values(), ids=AUDIT_CLASSIFIERS)
def test_a_classifier_of_other_data_is_refused(make, reason, graphs, make_job, do_job):
    with pytest.raises(EngineError) as caught:
        do_job(make_job(files={"classifier.onnx": make(graphs)}))
    assert caught.value.reason == reason


VAES = {
    "latent sizes differ": ("encoder.onnx", lambda g: g.encoder(latent_size=1), Reason.VAE_LATENT_MISMATCH),
    "decoder gives other images": (
        "decoder.onnx",
        lambda g: g.decoder(item=(1, 3, 2)),
        Reason.VAE_SHAPE_MISMATCH,
    ),
    "decoder takes images": ("decoder.onnx", image_output, Reason.MODEL_SIGNATURE),
    "encoder gives images": ("encoder.onnx", image_output, Reason.MODEL_SIGNATURE),
    "encoder is text": ("encoder.onnx", lambda g: b"text", Reason.MODEL_NOT_ONNX),
}


@pytest.mark.parametrize(("file", "make", "reason"), VAES.values(), ids=VAES)
@pytest.mark.parametrize("kind", ["inspect_vae", "audit"])
def test_a_bad_vae_is_refused(kind, file, make, reason, graphs, make_job, do_job):
    with pytest.raises(EngineError) as caught:
        do_job(make_job(kind, files={file: make(graphs)}))
    assert caught.value.reason == reason


def changed(**arrays):
    def make(graphs):
        dataset = graphs.dataset((30, 20, 20))
        return {**dataset, **{name: change(dataset[name]) for name, change in arrays.items()}}

    return make


def with_nan(images):
    images[7, 0, 1, 2] = np.nan
    return images


SPLITS = ("train", "validation", "test")
DATASETS = {
    "pickled images": (changed(x_train=lambda x: x.astype(object)), Reason.DATASET_PICKLED),
    "pickled labels": (changed(y_test=lambda y: y.astype(object)), Reason.DATASET_PICKLED),
    "NaN": (changed(x_validation=with_nan), Reason.DATASET_NOT_FINITE),
    "infinite": (changed(x_test=lambda x: x / np.float32(0)), Reason.DATASET_NOT_FINITE),
    "beyond float32": (changed(x_test=lambda x: x.astype(np.float64) * 1e60), Reason.DATASET_NOT_FINITE),
    "label too large": (changed(y_train=lambda y: y + 1), Reason.DATASET_LABELS),
    "label negative": (changed(y_train=lambda y: y - 1), Reason.DATASET_LABELS),
    "labels of floats": (changed(y_train=lambda y: y + 0.0), Reason.DATASET_LABELS),
    "labels one-hot": (changed(y_train=lambda y: np.eye(2, dtype=int)[y]), Reason.DATASET_SHAPE),
    "too few labels": (changed(y_train=lambda y: y[:-1]), Reason.DATASET_SHAPE),
    "empty split": (
        changed(x_test=lambda x: x[:0], y_test=lambda y: y[:0]),
        Reason.DATASET_EMPTY_SPLIT,
    ),
    "other image size": (changed(x_test=lambda x: x[..., :2]), Reason.DATASET_SHAPE),
    "vectors": (changed(x_test=lambda x: x.reshape(20, 6)), Reason.DATASET_SHAPE),
    "channels last, undeclared": (
        changed(**{f"x_{name}": lambda x: np.zeros((len(x), 32, 32, 3), np.uint8) for name in SPLITS}),
        Reason.DATASET_SHAPE,
    ),
    "grey channels last, undeclared": (
        changed(**{f"x_{name}": lambda x: np.zeros((len(x), 28, 28, 1), np.uint8) for name in SPLITS}),
        Reason.DATASET_SHAPE,
    ),
    "int64 images": (changed(x_test=lambda x: x.astype(np.int64)), Reason.DATASET_SHAPE),
    "no test split": (
        lambda g: {k: v for k, v in g.dataset((30, 20, 20)).items() if "test" not in k},
        Reason.DATASET_UNREADABLE,
    ),
}


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize(("make", "reason"), DATASETS.values(), ids=DATASETS)
def test_a_bad_dataset_is_refused(make, reason, graphs, make_job, do_job):
    with pytest.raises(EngineError) as caught:
        do_job(make_job("inspect_dataset", files={"dataset.npz": make(graphs)}))
    assert caught.value.reason == reason


def test_channels_last_are_named_with_the_option_that_declares_them(make_job, do_job, graphs):
    make, _ = DATASETS["channels last, undeclared"]
    files = {"dataset.npz": make(graphs)}
    with pytest.raises(EngineError, match=r"32 channels, 32 high and 3 wide.* --layout nhwc"):
        do_job(make_job("inspect_dataset", files=files))
    declared = {"dataset": {"layout": "NHWC"}}
    result = do_job(make_job("inspect_dataset", files=files, inputs=declared, name="declared"))
    assert result["image_shape"] == [3, 32, 32]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but no zip", b"text"], ids=["empty", "cut", "text"])
def test_a_dataset_that_is_no_npz_is_refused(content, make_job, do_job):
    folder = make_job("inspect_dataset")
    (folder / "inputs/dataset.npz").write_bytes(content)
    with pytest.raises(EngineError) as caught:
        do_job(folder)
    assert caught.value.reason == Reason.DATASET_UNREADABLE


def test_a_model_in_place_of_a_dataset_is_told_what_was_expected(graphs, make_job, do_job):
    folder = make_job("inspect_dataset")
    (folder / "inputs/dataset.npz").write_bytes(graphs.classifier())
    with pytest.raises(
        EngineError, match=r"expected one of numpy\.savez with the arrays x_train, "
    ) as caught:
        do_job(folder)
    assert "pickle" not in caught.value.message


def test_a_damaged_array_is_refused(make_job, do_job):
    folder = make_job("inspect_dataset")
    path = folder / "inputs/dataset.npz"
    content = bytearray(path.read_bytes())
    content[5000:5100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(EngineError) as caught:
        do_job(folder)
    assert caught.value.reason == Reason.DATASET_UNREADABLE


JOBS = {
    "unknown key": ({"sede": 1}, "sede"),
    "unknown option": ({"config": {"max_sedes": 1}}, "max_sedes"),
    "wrong type": ({"config": {"max_seeds": "all"}}, "max_seeds"),
    "a bool is no number": ({"config": {"candidates_per_seed": True}}, "candidates_per_seed"),
    "out of range": ({"config": {"agreement_threshold": 1.5}}, "agreement_threshold"),
    "fixed by the preset": ({"config": {"preset": "paper", "noise_scale": 0.2}}, "noise_scale"),
    "method fixed by the preset": ({"config": {"preset": "paper", "methods": ["gradient"]}}, "methods"),
    "belief fixed by the preset": (
        {"config": {"preset": "paper", "belief_threshold": 0.5}},
        "belief_threshold",
    ),
    "unknown method": ({"config": {"methods": ["guess"]}}, "neighbourhood, gradient, got 'guess'"),
    "no method": ({"config": {"methods": []}}, "at least one method"),
    "method twice": ({"config": {"methods": ["gradient", "gradient"]}}, "each once"),
    "published method beside others": (
        {"config": {"methods": ["paper", "gradient"]}},
        "preset paper alone",
    ),
    "nobody to ask": ({"config": {"neighbours": 0}}, "neighbours"),
    "belief above 1": ({"config": {"belief_threshold": 1.01}}, "belief_threshold"),
    "budget below 0": ({"config": {"max_candidates": -1}}, "max_candidates"),
    "time below 0": ({"config": {"budget_s": -1.0}}, "budget_s"),
    "patience below -1": ({"config": {"patience_shards": -2}}, "patience_shards"),
    "unknown device": ({"device": "tpu"}, "device"),
    "unknown kind": ({"kind": "attack"}, "kind"),
    "file outside": ({"inputs": {"classifier": {"file": "../../etc/passwd"}}}, "inside the job folder"),
    "unknown preprocessing": (
        {"inputs": {"classifier": {"preprocessing": {"stdev": [1.0]}}}},
        "stdev",
    ),
}


@pytest.mark.parametrize(("job", "named"), JOBS.values(), ids=JOBS)
def test_a_job_that_asks_for_the_unknown_is_refused_by_name(job, named, make_job, do_job):
    inputs = job.get("inputs")
    rest = {key: value for key, value in job.items() if key not in ("inputs", "kind")}
    folder = make_job(inputs=inputs, **rest)
    if "kind" in job:
        path = folder / "job.json"
        path.write_text(path.read_text().replace('"audit"', '"attack"'))
    with pytest.raises(EngineError, match=named) as caught:
        do_job(folder)
    assert caught.value.reason == Reason.JOB_INVALID


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_an_error_that_says_what_there_is(make_job, do_job):
    with pytest.raises(EngineError, match="CPUExecutionProvider") as caught:
        do_job(make_job(device="cuda:0"))
    assert caught.value.reason == Reason.DEVICE_UNAVAILABLE


def test_a_class_without_seeds_is_told_and_the_rest_is_searched(make_job, do_job, graphs):
    dataset = graphs.dataset()
    entries = {"dataset": {"class_names": ["left", "right", "elsewhere"]}}
    three = np.stack([np.zeros(6), 20 * graphs.basis[:, 0], np.zeros(6)], axis=1)
    classifier = graphs.linear(three, [0.0, -10.0, -100.0])
    files = {"dataset.npz": dataset, "classifier.onnx": classifier}
    result = do_job(make_job(files=files, inputs=entries, config={"max_seeds": 1000}))
    (message,) = [
        entry["message"] for entry in result["warnings"] if entry["reason"] == "CLASS_WITHOUT_SEEDS"
    ]
    assert "1 of 3" in message
    assert "elsewhere" in message
    assert result["misclassifications"] > 0
