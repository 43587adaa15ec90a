"""A labeled region is repaired, what the classifier knew is kept, and both are shown on unseen inputs."""

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import helper

from defuse_engine.configs import RegionLabel
from defuse_engine.correction.fine_tuning import Setting, Tuning, fine_tune, mean_loss
from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.correction.lineage import file_sha256, label_set_digest
from defuse_engine.correction.surroundings import no_surroundings
from defuse_engine.errors import EngineError, Reason
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.torch_form.differentiable import to_torch
from defuse_engine.types import Preprocessing

TRUTH, WRONG = 1, 0  # of every region of the analytic classifier
CONFIG = {"lambdas": [0.1, 1.0], "samples_per_region": 40}


def test_a_correction_repairs_the_regions_and_keeps_what_was_right(follow_up, do_job):
    folder = follow_up("correct", CONFIG)
    result = do_job(folder)
    (chosen,) = [point for point in result["curve"] if point["chosen"]]
    assert [point["lambda"] for point in result["curve"]][:2] == CONFIG["lambdas"]
    assert result["baseline"]["lambda"] is None
    assert result["baseline"]["region_accuracy"] < 0.5
    assert chosen["region_accuracy"] > 0.9
    assert chosen["validation_accuracy"] >= result["baseline"]["validation_accuracy"]
    assert result["parity_max_abs_error"] <= 1e-4
    assert result["region_count"] == 2


def test_what_the_regions_gave_is_told_from_what_the_fine_tuning_gave(follow_up, do_job):
    result = do_job(follow_up("correct", CONFIG))
    (chosen,) = [point for point in result["curve"] if point["chosen"]]
    control = result["control"]
    assert control["lambda"] == 0.0
    assert (control["learning_rate"], control["epochs"]) == (chosen["learning_rate"], chosen["epochs"])
    assert control["region_accuracy"] <= chosen["region_accuracy"]
    assert control["training_loss"] != chosen["training_loss"]


def test_the_best_lambda_is_tried_longer_and_stages_go_on_from_the_best(follow_up, do_job):
    curve = do_job(follow_up("correct", CONFIG))["curve"]
    first, second, longer, faster, mined, settled = curve
    assert [first["lambda"], second["lambda"]] == CONFIG["lambdas"]
    assert longer["lambda"] == faster["lambda"] in CONFIG["lambdas"]
    assert longer["epochs"] == faster["epochs"] > first["epochs"]
    assert longer["learning_rate"] == first["learning_rate"] < faster["learning_rate"]
    assert (first["mined_count"], longer["mined_count"]) == (0, 0)
    assert mined["mined_count"] > 0
    assert mined["epochs"] > longer["epochs"]
    assert settled["lambda"] < longer["lambda"]
    assert settled["learning_rate"] < longer["learning_rate"]
    assert settled["epochs"] > longer["epochs"]


def test_preset_paper_is_the_published_fine_tuning(follow_up, do_job):
    result = do_job(follow_up("correct", {"preset": "paper", "samples_per_region": 40}))
    (only,) = result["curve"]
    assert (only["lambda"], only["learning_rate"], only["epochs"]) == (0.01, 1e-3, 15)
    assert result["config"]["batch_size"] == 64
    assert result["config"]["tau"] == 0.01


def test_a_correction_tells_how_the_worst_class_fared(follow_up, do_job):
    result = do_job(follow_up("correct", CONFIG))
    assert result["baseline"]["worst_class_change"] == 0.0
    (chosen,) = [point for point in result["curve"] if point["chosen"]]
    # The left class was right before: all that is gained is the right one's.
    assert (
        chosen["worst_class_change"]
        <= chosen["validation_accuracy"] - result["baseline"]["validation_accuracy"]
    )


def test_labels_that_contradict_each_other_are_told(follow_up, do_job):
    apart = [{"region": 0, "label": TRUTH}, {"region": 1, "label": WRONG}]
    result = do_job(follow_up("correct", {**CONFIG, "labels": apart}, name="apart"))
    assert "LABELS_CONTRADICT" not in {warning["reason"] for warning in result["warnings"]}
    means = ((0.25, -0.05), (0.25, 0.05))
    folder = follow_up("correct", {**CONFIG, "labels": apart}, name="together", means=means)
    warnings = do_job(folder)["warnings"]
    (message,) = [entry["message"] for entry in warnings if entry["reason"] == "LABELS_CONTRADICT"]
    assert "0 is 1, 1 is 0" in message


def test_the_corrected_file_tells_where_it_comes_from(follow_up, do_job):
    folder = follow_up("correct", CONFIG)
    result = do_job(folder)
    corrected = onnx.load_model(folder / "output/corrected.onnx")
    told = {entry.key: entry.value for entry in corrected.metadata_props}
    labels = [RegionLabel(**entry) for entry in result["config"]["labels"]]
    assert told["defuse.parent_sha256"] == file_sha256(folder / "inputs/classifier.onnx")
    assert told["defuse.dataset_sha256"] == file_sha256(folder / "inputs/dataset.npz")
    assert told["defuse.encoder_sha256"] == file_sha256(folder / "inputs/encoder.onnx")
    assert told["defuse.decoder_sha256"] == file_sha256(folder / "inputs/decoder.onnx")
    assert told["defuse.audit_regions_sha256"] == file_sha256(folder / "inputs/regions.npz")
    assert told["defuse.label_set_digest"] == label_set_digest(labels)
    original = onnx.load_model(folder / "inputs/classifier.onnx")
    assert [node.op_type for node in corrected.graph.node] == [node.op_type for node in original.graph.node]
    assert corrected.opset_import == original.opset_import


def test_a_correction_done_twice_gives_the_same_bytes(follow_up, do_job):
    folders = [follow_up("correct", CONFIG, name=name) for name in ("first", "second")]
    for folder in folders:
        do_job(folder)
    for file in ("corrected.onnx", "result.json"):
        assert (folders[0] / "output" / file).read_bytes() == (folders[1] / "output" / file).read_bytes()


def test_labels_that_agree_with_the_classifier_are_no_bug_to_correct(follow_up, do_job):
    with pytest.raises(EngineError) as caught:
        do_job(follow_up("correct", CONFIG, label=WRONG))
    assert caught.value.reason is Reason.NO_CONFIRMED_BUG


@pytest.mark.parametrize("label", [{"region": 2, "label": 1}, {"region": 0, "label": 2}])
def test_a_label_for_an_unknown_region_or_class_is_refused(follow_up, do_job, label):
    with pytest.raises(EngineError, match=str(max(label.values()))) as caught:
        do_job(follow_up("correct", {**CONFIG, "labels": [label]}))
    assert caught.value.reason is Reason.JOB_INVALID


def test_a_classifier_without_gradient_is_refused_by_the_operation(follow_up, do_job, graphs):
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "bias"], ["scores"]),
        helper.make_node("Round", ["scores"], ["logits"]),
    ]
    matrix = np.stack([np.zeros(6), 20 * graphs.basis[:, 0]], axis=1).astype(np.float32)
    model = graphs.model(
        nodes,
        [("x", ["n", *graphs.image_shape])],
        [("logits", ["n", 2])],
        {"matrix": matrix, "bias": np.array([0.0, -10.0], np.float32)},
    )
    with pytest.raises(EngineError, match="Round") as caught:
        do_job(follow_up("correct", CONFIG, files={"classifier.onnx": model}))
    assert caught.value.reason is Reason.MODEL_NOT_DIFFERENTIABLE


def test_a_learning_rate_that_destroys_is_cut_short_and_a_smaller_one_found(follow_up, do_job):
    result = do_job(follow_up("correct", {**CONFIG, "lambdas": [1.0], "learning_rate": 100.0}))
    first, *rest = result["curve"]
    assert first["diverged"]
    assert not first["chosen"]
    assert first["validation_accuracy"] > 0.6  # rolled back: what diverged guesses
    (chosen,) = [point for point in rest if point["chosen"]]
    assert chosen["learning_rate"] < first["learning_rate"]
    assert chosen["validation_accuracy"] >= result["baseline"]["validation_accuracy"]


def test_labels_that_contradict_the_data_never_cost_what_was_known(follow_up, do_job, graphs):
    """Here the classifier is right, and people call what it knows wrong."""
    right = graphs.classifier(boundary=0.0)
    # Each lambda costs more than may be given up, as the regions' label is wrong on a quarter of the data.
    with pytest.raises(EngineError) as caught:
        do_job(
            follow_up(
                "correct",
                {**CONFIG, "lambdas": [30.0]},
                label=WRONG,
                predicted_class=TRUTH,
                files={"classifier.onnx": right},
            )
        )
    assert caught.value.reason is Reason.CORRECTION_DIVERGED


def tuning(graphs, output_kind="logits", sharpness=20.0):
    data = graphs.dataset()
    clean = Split(data["x_train"], data["y_train"])
    codes = np.column_stack([np.full(50, 0.25), np.linspace(-2, 2, 50)]).astype(np.float32)
    samples = LabeledSamples(
        (codes @ graphs.basis.T).reshape(-1, *graphs.image_shape),
        np.ones(50, np.int64),
    )
    model = to_torch(graphs.classifier(sharpness=sharpness))
    return model, Tuning(
        "default",
        Preprocessing(),
        output_kind,
        clean,
        (samples, no_surroundings(clean)),
        64,
        baseline_loss=0.5,
    )


def test_what_the_witness_has_read_is_half_of_a_target(graphs):
    """Where it reads the opposite of the labels, a fine-tuning that learns nothing else ends undecided."""
    model, setting = tuning(graphs)
    (samples, surroundings) = setting.pools
    opposite = np.tile(np.array([1.0, 0.0], np.float32), (len(samples.labels), 1))
    ends: list[float] = []
    for pool in (samples, dataclasses.replace(samples, read=opposite)):
        learned = dataclasses.replace(setting, pools=(pool, surroundings))
        tuned = fine_tune(
            model, learned, Setting(1000.0, 0.05, 3), np.random.default_rng(0), lambda done: None
        )
        ends.append(mean_loss(tuned.model, Preprocessing(), "logits", samples.images, samples.labels))
    assert ends[0] < 0.1
    assert ends[1] == pytest.approx(np.log(2), abs=0.1)


def test_fine_tuning_leaves_the_original_weights_alone(graphs):
    model, setting = tuning(graphs)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    tuned = fine_tune(model, setting, Setting(1.0, 0.01, 1), np.random.default_rng(0), lambda done: None)
    assert all((before[name] == weight).all() for name, weight in model.state_dict().items())
    assert any((before[name] != weight).any() for name, weight in tuned.model.state_dict().items())


@pytest.mark.parametrize("sharpness", [0.2, 20.0, 200.0])
def test_one_learning_rate_serves_weights_of_any_scale(graphs, sharpness):
    """The boundary, a ratio of weights, moves as far for small weights as for large ones."""
    model, setting = tuning(graphs, sharpness=sharpness)
    tuned = fine_tune(
        model,
        dataclasses.replace(setting, baseline_loss=10.0),
        Setting(1.0, 0.01, 1),
        np.random.default_rng(0),
        lambda done: None,
    )
    moved = [
        float((after - before).norm() / before.norm())
        for before, after in zip(model.state_dict().values(), tuned.model.state_dict().values(), strict=True)
    ]
    assert not tuned.diverged
    assert 0.05 < max(moved) < 3.0


def test_what_a_stage_missed_is_looked_at_more_by_the_next(graphs):
    model, setting = tuning(graphs)
    regions = setting.pools[0]
    # One sample lies across the boundary from all others.
    images = regions.images.copy()
    images[0] = (np.array([[-1.0, 0.0]]) @ graphs.basis.T).reshape(graphs.image_shape)
    pool = dataclasses.replace(regions, images=images)
    setting = dataclasses.replace(setting, pools=(pool, *setting.pools[1:]))
    losses = []
    for missed in (None, np.array([0])):
        gentle, generator = Setting(1.0, 0.01, 1), np.random.default_rng(0)
        tuned = fine_tune(model, setting, gentle, generator, lambda done: None, missed)
        losses.append(
            mean_loss(tuned.model, Preprocessing(), setting.output_kind, images[:1], regions.labels[:1])
        )
    assert losses[1] < 0.9 * losses[0]
