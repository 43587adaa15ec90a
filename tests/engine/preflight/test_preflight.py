"""An audit of the wrong thing stops at its first figures, and says what is likely wrong."""

import numpy as np
import pytest

from defuse_engine.errors import PreflightRefused, Reason
from defuse_engine.preflight.skill import cohens_kappa


def shifted(graphs):
    """Data around 1000; the classifier knows [-2, 2] alone."""
    dataset = graphs.dataset()
    return {name: v * 60 + 1000 if name[0] == "x" else v for name, v in dataset.items()}


def test_wrong_preprocessing_is_refused_with_figures_and_named(make_job, do_job, graphs):
    with pytest.raises(
        PreflightRefused, match="pushed with --layout nchw and no --scale, --mean or --std"
    ) as caught:
        do_job(make_job(files={"dataset.npz": shifted(graphs)}))
    assert caught.value.reason == Reason.PREFLIGHT_CLASSIFIER_ACCURACY
    figures = caught.value.figures
    assert figures["classifier_accuracy"] < 0.6
    assert figures["value_max"] > 100
    assert f"{figures['classifier_accuracy']:.1%}" in caught.value.message


def test_the_right_preprocessing_makes_the_same_audit_pass(make_job, do_job, graphs):
    correct = {"preprocessing": {"mean": [1000.0], "std": [60.0]}}
    result = do_job(
        make_job(
            files={"dataset.npz": shifted(graphs)},
            inputs={"classifier": correct, "vae": correct},
            config={"max_seeds": 200},
        )
    )
    assert result["preflight"]["classifier_accuracy"] > 0.8
    assert result["preflight"]["readability"] == pytest.approx(1.0, abs=0.01)


def test_swapped_labels_are_recognised(make_job, do_job, graphs):
    dataset = graphs.dataset()
    swapped = {name: 1 - v if name[0] == "y" else v for name, v in dataset.items()}
    with pytest.raises(PreflightRefused, match="label order"):
        do_job(make_job(files={"dataset.npz": swapped}))


def test_a_scale_that_was_forgotten_is_found(make_job, do_job, graphs):
    # Trained on pixels in [0, 255], fed with [0, 1]: one class swallows all.
    dataset = graphs.dataset()
    grey = {name: (v - v.min()) / 8 if name[0] == "x" else v for name, v in dataset.items()}
    low = dataset["x_train"].min()
    matrix = np.stack([np.zeros(6), graphs.basis[:, 0] * 8 / 255], axis=1)
    bias = [0.0, float(graphs.basis[:, 0].sum() * low) - 0.3]
    with pytest.raises(PreflightRefused, match="--scale 255 it would be right on"):
        do_job(make_job(files={"dataset.npz": grey, "classifier.onnx": graphs.linear(matrix, bias)}))


def test_a_vae_whose_images_the_classifier_cannot_read_is_refused(make_job, do_job, graphs):
    with pytest.raises(PreflightRefused, match="defuse vae train --dataset D --classifier C") as caught:
        do_job(make_job(files={"decoder.onnx": graphs.decoder(matrix=-graphs.basis)}))
    assert caught.value.reason == Reason.PREFLIGHT_READABILITY
    assert caught.value.figures["readability"] < 0.5


def test_readings_that_are_right_by_chance_alone_are_no_readings(make_job, do_job, graphs):
    """Of two classes whatever a decoder draws is read as labeled half of the time."""
    collapsed = graphs.linear(np.zeros((6, 2)), np.zeros(2), outputs=("mu",))
    with pytest.raises(PreflightRefused, match="hardly more than by chance") as caught:
        do_job(make_job(files={"encoder.onnx": collapsed}))
    assert caught.value.reason == Reason.PREFLIGHT_READABILITY
    assert caught.value.figures["readability"] > 0.5


def test_a_validation_split_of_one_class_is_named_as_the_cause(make_job, do_job, graphs):
    dataset = graphs.dataset()
    rows = np.flatnonzero(dataset["y_validation"] == 1)
    for name in ("x_validation", "y_validation"):
        dataset[name] = dataset[name][rows]
    with pytest.raises(PreflightRefused, match=f"all of {len(rows)} validation images .* of class 1"):
        do_job(make_job(files={"dataset.npz": dataset}))


def test_low_readability_is_a_warning(make_job, do_job, graphs, reporter):
    do_job(make_job(files={"decoder.onnx": graphs.decoder(matrix=graphs.basis * 0.4)}))
    warnings = {warning["reason"]: warning["message"] for warning in reporter.warnings}
    assert "defuse vae train --dataset D --classifier C" in warnings["LOW_READABILITY"]


def test_logits_declared_as_probabilities_are_a_warning(make_job, do_job, reporter):
    do_job(make_job(inputs={"classifier": {"output_kind": "probabilities"}}, config={"max_seeds": 100}))
    assert "OUTPUT_KIND_MISMATCH" in [warning["reason"] for warning in reporter.warnings]


def test_figures_are_those_of_the_contract(make_job, do_job):
    result = do_job(make_job(config={"max_seeds": 100}))
    assert set(result["preflight"]) == {
        "classifier_accuracy",
        "reconstruction_accuracy",
        "readability",
        "classifier_readability",
        "independent_readability",
        "flattery",
        "readability_summary",
        "reconstruction_mse",
        "sample_size",
        "value_min",
        "value_max",
        "output_kind",
        "mean_row_sum",
        "class_count",
        "latent_std",
    }
    # z is uniform on [-2, 2]: its standard deviation is 4 / sqrt(12).
    assert result["preflight"]["latent_std"] == pytest.approx(4 / 12**0.5, rel=0.05)
    assert result["preflight"]["sample_size"] == 400


def test_kappa_knows_that_naming_the_commonest_class_is_no_skill():
    labels = np.array([0] * 95 + [1] * 5)
    assert cohens_kappa(np.zeros(100, np.int64), labels, 2) == 0.0
    assert cohens_kappa(labels, labels, 2) == 1.0
    assert cohens_kappa(1 - labels, labels, 2) < 0.0
    assert cohens_kappa(np.full(100, -1), labels, 2) == 0.0
