"""Models that answer NaN somewhere, and items that no model can make sense of: each has its clear answer."""

import numpy as np
import pytest
from onnx import helper

from defuse_engine.errors import InvalidModel, PreflightRefused, Reason

FEW = {"max_seeds": 200, "shard_seeds": 100, "sheet_samples": 4}
BEYOND = 2.02
"""No train code lies there, candidates do."""


def messages(result, reason):
    return [entry["message"] for entry in result["warnings"] if entry["reason"] == reason]


def nan_beyond(tensor, place, out):
    """Nodes that add NaN to `tensor` where `place`, (n, 1), is above BEYOND."""
    return [
        helper.make_node("Sub", ["limit", place], ["room"]),
        helper.make_node("Sqrt", ["room"], ["root"]),
        helper.make_node("Mul", ["root", "zero"], ["nothing"]),
        helper.make_node("Add", [tensor, "nothing"], [out]),
    ]


LIMITS = {"limit": np.array([BEYOND], np.float32), "zero": np.zeros(1, np.float32)}


def classifier_with_nan(graphs):
    matrix = np.stack([np.zeros(6), 20 * graphs.basis[:, 0]], axis=1).astype(np.float32)
    return graphs.model(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("Gemm", ["flat", "matrix", "bias"], ["linear"]),
            helper.make_node("MatMul", ["flat", "second"], ["place"]),
            *nan_beyond("linear", "place", "logits"),
        ],
        [("x", ["n", 1, 2, 3])],
        [("logits", ["n", 2])],
        {"matrix": matrix, "bias": np.array([0, -10], np.float32), "second": graphs.basis[:, 1:2], **LIMITS},
    )


def decoder_with_nan(graphs, shift=0.0):
    """A decoder that answers NaN from `shift` below the limit on."""
    return graphs.model(
        [
            helper.make_node("MatMul", ["z", "basis"], ["flat"]),
            helper.make_node("MatMul", ["z", "second"], ["z1"]),
            helper.make_node("Add", ["z1", "shift"], ["place"]),
            *nan_beyond("flat", "place", "drawn"),
            helper.make_node("Reshape", ["drawn", "shape"], ["image"]),
        ],
        [("z", ["n", 2])],
        [("image", ["n", 1, 2, 3])],
        {
            "basis": graphs.basis.T.copy(),
            "second": np.array([[0], [1]], np.float32),
            "shift": np.array([shift], np.float32),
            "shape": np.array([-1, 1, 2, 3], np.int64),
            **LIMITS,
        },
    )


@pytest.mark.parametrize(
    ("file", "make"), [("classifier.onnx", classifier_with_nan), ("decoder.onnx", decoder_with_nan)]
)
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_candidates_without_an_answer_are_counted_and_left_out(file, make, preset, graphs, make_job, do_job):
    wide = {} if preset == "paper" else {"noise_scale": 0.3}
    config = {**FEW, "preset": preset, **wide}
    result = do_job(make_job(files={file: make(graphs)}, config=config))
    (message,) = messages(result, "CANDIDATES_NOT_FINITE")
    assert f"of {result['candidates']} candidates" in message
    assert result["misclassifications"] > 0
    assert result["regions"]


def test_a_decoder_that_draws_no_numbers_is_refused(graphs, make_job, do_job):
    nowhere = decoder_with_nan(graphs, shift=100.0)
    with pytest.raises(PreflightRefused, match="400 of 400 hold NaN") as caught:
        do_job(make_job(files={"decoder.onnx": nowhere}, config=FEW))
    assert caught.value.reason == Reason.PREFLIGHT_READABILITY


@pytest.mark.usefixtures("quick_tuning")
@pytest.mark.parametrize(
    ("file", "make"), [("classifier.onnx", classifier_with_nan), ("decoder.onnx", decoder_with_nan)]
)
def test_a_correction_leaves_out_what_gets_no_answer(graphs, follow_up, do_job, file, make):
    """A good part of one region's samples lies where decoder or classifier answers NaN."""
    files = {file: make(graphs)}
    means, few = ((0.25, -1.0), (0.25, 1.9)), {"lambdas": [1.0], "samples_per_region": 40}
    result = do_job(follow_up("correct", few, files=files, means=means))
    assert not any(point["diverged"] for point in result["curve"])
    (chosen,) = [point for point in result["curve"] if point["chosen"]]
    assert chosen["region_accuracy"] > 0.9
    assert np.isfinite(chosen["training_loss"])


def test_an_item_without_a_code_is_named(graphs, make_job, do_job):
    """An encoder that standardises each image by itself has no answer for a blank one."""
    encoder = graphs.model(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("ReduceL2", ["flat"], ["norm"], axes=[1], keepdims=1),
            helper.make_node("Div", ["flat", "norm"], ["unit"]),
            helper.make_node("Mul", ["unit", "norm"], ["same"]),
            helper.make_node("MatMul", ["same", "basis"], ["mu"]),
        ],
        [("x", ["n", 1, 2, 3])],
        [("mu", ["n", 2])],
        {"basis": graphs.basis},
    )
    dataset = graphs.dataset()
    dataset["x_train"][5] = 0.0
    with pytest.raises(
        InvalidModel, match=r"1 of 3000 items .*item 5, whose pixels lie in \[0, 0\]"
    ) as caught:
        do_job(make_job(files={"encoder.onnx": encoder, "dataset.npz": dataset}, config=FEW))
    assert caught.value.reason == Reason.MODEL_NOT_FINITE
    assert caught.value.figures["first_item"] == 5


def test_an_item_far_from_all_others_is_named(graphs, make_job, do_job):
    dataset = graphs.dataset()
    dataset["x_train"][7] *= 1e6
    result = do_job(make_job(files={"dataset.npz": dataset}, config=FEW))
    (message,) = messages(result, "ITEMS_OUTLYING")
    assert "codes of 1 of 3000 items" in message
    assert "item 7" in message


def test_a_class_that_the_classifier_never_answers_has_nothing_to_start_from(graphs, make_job, do_job):
    dataset = graphs.dataset()
    for split in ("train", "validation", "test"):
        dataset[f"y_{split}"][dataset[f"x_{split}"].reshape(-1, 6) @ graphs.basis[:, 1] > 1.2] = 2
    three = np.stack([np.zeros(6), 20 * graphs.basis[:, 0], np.zeros(6)], axis=1)
    result = do_job(
        make_job(
            files={"dataset.npz": dataset, "classifier.onnx": graphs.linear(three, [0.0, -10.0, -100.0])},
            inputs={"dataset": {"class_names": ["left", "right", "above"]}},
            config=FEW,
        )
    )
    (message,) = messages(result, "CLASS_WITHOUT_SEEDS")
    assert "1 of 3 classes have no seed, of at most 100 looked at, that is classified as labeled" in message
    assert "(above)" in message
    assert result["misclassifications"] > 0


def test_the_same_image_under_two_labels_is_told(graphs, make_job, do_job):
    dataset = graphs.dataset()
    dataset["x_validation"][:3] = dataset["x_train"][:3]
    dataset["y_validation"][:3] = 1 - dataset["y_train"][:3]
    dataset["x_test"][:3], dataset["y_test"][:3] = dataset["x_train"][:3], dataset["y_train"][:3]
    result = do_job(make_job(files={"dataset.npz": dataset}, config=FEW))
    (message,) = messages(result, "ITEMS_CONTRADICT")
    names = ("left", "right")
    first = int(dataset["y_train"][0])
    assert message.startswith("3 items show")
    assert f"train 0 ({names[first]}) and validation 0 ({names[1 - first]});" in message


def test_an_audit_of_sound_inputs_tells_none_of_this(make_job, do_job):
    result = do_job(make_job(config=FEW))
    assert not {"CANDIDATES_NOT_FINITE", "ITEMS_OUTLYING", "CLASS_WITHOUT_SEEDS", "ITEMS_CONTRADICT"} & {
        entry["reason"] for entry in result["warnings"]
    }
