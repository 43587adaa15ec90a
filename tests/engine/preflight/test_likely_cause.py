"""A wrong preprocessing is found by trying the usual ones, and named with what to do."""

import math

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from defuse_engine.errors import EngineError, PreflightRefused, Reason
from tests.models.colour_patches import ITEM, as_they_are, classifier, patches

DARK = 2
"""Of the four colours, the class of the dark one."""
COMMON_MEAN, COMMON_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def identity_vae(graphs):
    return {
        "encoder.onnx": graphs.linear(np.eye(12), np.zeros(12), item=ITEM, outputs=("mu",)),
        "decoder.onnx": graphs.decoder(matrix=np.eye(12, dtype=np.float32), item=ITEM),
    }


@pytest.fixture
def check(make_job, do_job):
    """Inspect a classifier with a dataset, as `defuse push classifier --dataset` does."""

    def inspect(model, dataset, **preprocessing):
        folder = make_job(
            "inspect_classifier",
            files={"classifier.onnx": model, "dataset.npz": dataset},
            inputs={"classifier": {"preprocessing": preprocessing}, "dataset": {"class_names": list("abcd")}},
            with_dataset=True,
        )
        return do_job(folder)

    return inspect


def test_the_accuracy_on_a_dataset_is_shown_with_its_interval(check, graphs):
    result = check(classifier(), patches())
    measured = result["dataset_accuracy"]
    assert measured["value"] > 0.99
    assert measured["lower"] < measured["value"] <= measured["upper"]
    assert measured["samples"] == 600
    assert result["warnings"] == []


def test_reversed_channels_are_a_warning_with_both_accuracies(check, graphs):
    result = check(classifier(), patches(lambda images: images[:, ::-1]))
    assert 0.4 < result["dataset_accuracy"]["value"] < 0.6
    (warning,) = result["warnings"]
    assert warning["reason"] == "PREPROCESSING_DOUBTFUL"
    assert "the channels reversed (BGR) on 100.0%" in warning["message"]
    assert "x[:, ::-1]" in warning["message"]
    declared = float(warning["message"].partition(" the classifier is right on ")[2].partition("%")[0])
    assert 40 < declared < 60


def test_items_that_are_stored_class_by_class_mislead_nobody(check):
    """A model of 0..255 sees only dark in images of 0..1, and would be right on the first 128 of these."""
    dataset = patches()
    order = np.argsort(dataset["y_validation"] != DARK, kind="stable")
    dataset |= {name: dataset[name][order] for name in ("x_validation", "y_validation")}
    with pytest.raises(PreflightRefused, match="With --scale 255 it would be right on"):
        check(classifier(lambda x: x * 255), dataset)


def test_an_audit_with_reversed_channels_runs_and_says_so(make_job, do_job, graphs):
    dataset = patches(lambda images: images[:, ::-1])
    files = {"classifier.onnx": classifier(), "dataset.npz": dataset, **identity_vae(graphs)}
    inputs = {"dataset": {"class_names": list("abcd")}}
    result = do_job(make_job(files=files, inputs=inputs, config={"max_seeds": 50}))
    messages = {one["reason"]: one["message"] for one in result["warnings"]}
    assert "channels reversed (BGR)" in messages["PREPROCESSING_DOUBTFUL"]


def common(images):
    return (images - COMMON_MEAN[:, None, None]) / COMMON_STD[:, None, None]


MISTAKES = {
    # What the classifier was trained on, what was saved, what was declared, and what is then said.
    "images of 0..255 for a model of 0..1": (as_they_are, lambda x: x * 255, {}, "--scale 0.00392157"),
    "images of 0..1 for a model of 0..255": (lambda x: x * 255, as_they_are, {}, "--scale 255"),
    "scale 255 for a model of 0..1": (
        as_they_are,
        as_they_are,
        {"scale": 255.0},
        "no --scale, --mean or --std",
    ),
    "a forgotten mean and deviation": (
        common,
        as_they_are,
        {},
        "--mean 0.485 --mean 0.456 --mean 0.406 --std",
    ),
    "images in -1..1 for a model of 0..1": (as_they_are, lambda x: 2 * x - 1, {}, "--mean -1 --std 2"),
    "normalised before and once more": (
        lambda x: 2 * x - 1,
        lambda x: 2 * x - 1,
        {"mean": [0.5], "std": [0.5]},
        "no --scale, --mean or --std",
    ),
    "both channels and scale": (
        as_they_are,
        lambda x: 255 * x[:, ::-1],
        {},
        "--scale 0.00392157 and the channels",
    ),
}


@pytest.mark.parametrize(("trained", "saved", "declared", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_usual_mistake_is_named_with_the_options_that_mend_it(trained, saved, declared, told, check):
    model, dataset = classifier(trained), patches(saved)
    try:
        (message,) = [one["message"] for one in check(model, dataset, **declared)["warnings"]]
    except PreflightRefused as refused:
        message = refused.message
    assert told in message


def test_a_near_chance_classifier_is_refused_with_the_cause(check, graphs):
    with pytest.raises(PreflightRefused, match=r"With --scale 255 it would be right on 100\.0%") as caught:
        check(classifier(lambda x: x * 255), patches())
    assert caught.value.reason is Reason.PREFLIGHT_CLASSIFIER_ACCURACY
    assert "it was pushed with --layout nchw and no --scale, --mean or --std" in caught.value.message
    assert "Preprocessing(" not in str(caught.value.figures)


def test_values_that_are_not_finite_are_refused_with_the_options_that_were_given(check, graphs):
    model = graphs.linear(np.full((math.prod(ITEM), 4), 1e30), np.zeros(4), item=ITEM)
    with pytest.raises(PreflightRefused, match=r"pushed with --layout nchw and --scale 1e\+09"):
        check(model, patches(), scale=1e9)


def test_a_classifier_that_is_simply_not_good_is_left_alone(check, graphs):
    result = check(classifier(), patches(wrong_labels=0.3))
    assert 0.7 < result["dataset_accuracy"]["value"] < 0.85
    assert result["warnings"] == []


def test_a_dataset_that_does_not_fit_is_refused_at_the_push(check, graphs):
    with pytest.raises(EngineError, match="push it with --layout nhwc") as caught:
        check(graphs.linear(np.zeros((12, 4)), np.zeros(4), item=(2, 2, 3)), patches())
    assert caught.value.reason is Reason.MODEL_SIGNATURE


def vae_of_symmetric_range(graphs):
    """Return a VAE of images in -1..1 whose decoder cuts off what lies beyond."""
    files = identity_vae(graphs)
    model = onnx.load_model_from_string(files["decoder.onnx"])
    model.graph.node[-1].output[0] = "free"
    model.graph.node.append(helper.make_node("Clip", ["free", "low", "high"], ["image"]))
    for name, value in (("low", -1.0), ("high", 1.0)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    return {**files, "decoder.onnx": model.SerializeToString()}


def test_a_vae_under_the_wrong_range_is_named_with_both_ranges(make_job, do_job, graphs):
    """The dataset is in 0..255, and the VAE takes -1..1: everything that it decodes is black."""
    preprocessing = {"scale": 1 / 255}
    folder = make_job(
        files={
            "classifier.onnx": classifier(),
            "dataset.npz": patches(lambda x: x * 255),
            **vae_of_symmetric_range(graphs),
        },
        inputs={
            "classifier": {"preprocessing": preprocessing},
            "dataset": {"class_names": list("abcd")},
        },
    )
    with pytest.raises(PreflightRefused, match="The ranges do not match") as caught:
        do_job(folder)
    assert caught.value.reason is Reason.PREFLIGHT_READABILITY
    assert "If the VAE were pushed with --scale 0.00392157" in caught.value.message
    assert "those of the reconstructions in 1..1" in caught.value.message
