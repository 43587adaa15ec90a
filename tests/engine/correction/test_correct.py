"""A labeled region is repaired, what the classifier knew is kept, and both are shown on unseen inputs."""

import io
import json

import numpy as np
import onnx
import pytest
from onnx import helper

from defuse_engine.configs import RegionLabel
from defuse_engine.correction import labeled_regions
from defuse_engine.correction.labeled_regions import draw_codes
from defuse_engine.correction.lineage import file_sha256, label_set_digest
from defuse_engine.errors import EngineError, Reason
from defuse_engine.job_folder.lines import Lines

TRUTH, WRONG = 1, 0  # of every region of the analytic classifier
CONFIG = {"lambdas": [0.1, 1.0], "samples_per_region": 40}


@pytest.fixture(scope="module")
def corrected(shared_jobs):
    """A correction's folder and result."""
    folder = shared_jobs.follow_up("correct", CONFIG)
    return folder, shared_jobs.do(folder)


@pytest.fixture(scope="module")
def chosen(corrected):
    (point,) = [point for point in corrected[1]["curve"] if point["chosen"]]
    return point


def test_a_correction_repairs_the_regions(corrected, chosen):
    baseline = corrected[1]["baseline"]
    assert baseline["lambda"] is None
    assert baseline["region_accuracy"] < 0.5
    assert chosen["region_accuracy"] > 0.9


def test_a_correction_keeps_what_was_right(corrected, chosen):
    assert chosen["validation_accuracy"] >= corrected[1]["baseline"]["validation_accuracy"]


def test_the_file_says_what_the_trained_model_says(corrected):
    assert corrected[1]["parity_max_abs_error"] <= 1e-4


def test_a_correction_counts_the_regions_that_it_trained_on(corrected):
    assert corrected[1]["region_count"] == 2


def test_the_control_is_the_same_fine_tuning_without_regions(corrected, chosen):
    control = corrected[1]["control"]
    assert control["lambda"] == 0.0
    assert (control["learning_rate"], control["epochs"]) == (chosen["learning_rate"], chosen["epochs"])
    assert control["region_accuracy"] <= chosen["region_accuracy"]
    assert control["training_loss"] != chosen["training_loss"]


def test_every_lambda_is_tried_and_the_best_one_longer(corrected):
    first, second, longer, *_ = corrected[1]["curve"]
    assert [first["lambda"], second["lambda"]] == CONFIG["lambdas"]
    assert longer["lambda"] in CONFIG["lambdas"]
    assert longer["epochs"] > first["epochs"]
    assert longer["learning_rate"] == first["learning_rate"]


def test_a_later_stage_trains_on_what_was_mined(corrected):
    first, _, longer, mined, _ = corrected[1]["curve"]
    assert (first["mined_count"], longer["mined_count"]) == (0, 0)
    assert mined["mined_count"] > 0
    assert mined["epochs"] > longer["epochs"]


def test_the_last_stage_is_gentle(corrected):
    _, _, longer, _, settled = corrected[1]["curve"]
    assert settled["lambda"] < longer["lambda"]
    assert settled["learning_rate"] < longer["learning_rate"]
    assert settled["epochs"] > longer["epochs"]


def test_a_correction_tells_how_the_worst_class_fared(corrected, chosen):
    baseline = corrected[1]["baseline"]
    assert baseline["worst_class_change"] == 0.0
    # The left class was right before: all that is gained is the right one's.
    gain = chosen["validation_accuracy"] - baseline["validation_accuracy"]
    assert chosen["worst_class_change"] <= gain


def test_preset_paper_is_the_published_fine_tuning(follow_up, do_job):
    result = do_job(follow_up("correct", {"preset": "paper", "samples_per_region": 40}))
    (only,) = result["curve"]
    assert (only["lambda"], only["learning_rate"], only["epochs"]) == (0.01, 1e-3, 15)
    assert result["config"]["batch_size"] == 64
    assert result["config"]["tau"] == 0.01


@pytest.mark.usefixtures("quick_tuning")
def test_labels_that_contradict_each_other_are_told(follow_up, do_job):
    apart = [{"region": 0, "label": TRUTH}, {"region": 1, "label": WRONG}]
    result = do_job(follow_up("correct", {**CONFIG, "labels": apart}, name="apart"))
    assert "LABELS_CONTRADICT" not in {warning["reason"] for warning in result["warnings"]}
    means = ((0.25, -0.05), (0.25, 0.05))
    folder = follow_up("correct", {**CONFIG, "labels": apart}, name="together", means=means)
    warnings = do_job(folder)["warnings"]
    (message,) = [entry["message"] for entry in warnings if entry["reason"] == "LABELS_CONTRADICT"]
    assert "0 is 1, 1 is 0" in message


def test_the_corrected_file_tells_where_it_comes_from(corrected):
    folder, result = corrected
    model = onnx.load_model(folder / "output/corrected.onnx")
    told = {entry.key: entry.value for entry in model.metadata_props}
    origins = {
        "parent": "classifier.onnx",
        "dataset": "dataset.npz",
        "encoder": "encoder.onnx",
        "decoder": "decoder.onnx",
        "audit_regions": "regions.npz",
    }
    for name, file in origins.items():
        assert told[f"defuse.{name}_sha256"] == file_sha256(folder / "inputs" / file)
    labels = [RegionLabel(**entry) for entry in result["config"]["labels"]]
    assert told["defuse.label_set_digest"] == label_set_digest(labels)


def test_the_corrected_file_has_the_topology_of_the_original(corrected):
    folder, _ = corrected
    model, original = (
        onnx.load_model(folder / file) for file in ("output/corrected.onnx", "inputs/classifier.onnx")
    )
    assert [node.op_type for node in model.graph.node] == [node.op_type for node in original.graph.node]
    assert model.opset_import == original.opset_import


def test_a_correction_done_twice_gives_the_same_bytes(corrected, follow_up, do_job):
    first, _ = corrected
    again = follow_up("correct", CONFIG)
    do_job(again)
    for file in ("corrected.onnx", "result.json"):
        assert (first / "output" / file).read_bytes() == (again / "output" / file).read_bytes()


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


@pytest.mark.usefixtures("quick_tuning")
def test_a_correction_tells_what_it_does_at_every_moment(shared_jobs, follow_up):
    stream = io.StringIO()
    shared_jobs.do(follow_up("correct", CONFIG), Lines(stream))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [line for line in lines if line["event"] == "progress" and line["stage"] == "correct"]
    assert {line["unit"] for line in told} == {"steps", "regions", "seeds"}
    # How many steps there are is known only at the end, and a total that grows would be none.
    assert {line["total"] for line in told if line["unit"] == "steps"} == {0}
    assert all(0 <= line["done"] <= line["total"] for line in told if line["unit"] != "steps")


@pytest.mark.usefixtures("quick_tuning")
def test_of_many_regions_or_large_images_there_are_fewer_samples_of_each(follow_up, do_job, monkeypatch):
    monkeypatch.setattr(labeled_regions, "_MOST_BYTES", 2 * 8 * 4 * 2)
    drawn = []
    monkeypatch.setattr(
        labeled_regions,
        "draw_codes",
        lambda *given: drawn.append(given[3]) or draw_codes(*given),
    )
    result = do_job(follow_up("correct", CONFIG))
    assert set(drawn) == {8}
    assert result["region_count"] == 2
