"""A whole audit of models whose one bug is known: the regions are that bug, and a correction repairs it."""

import json
import shutil

import numpy as np
import pytest

CONFIG = {
    "max_seeds": 0,
    "shard_seeds": 1000,
    "candidates_per_seed": 40,
    "kept_per_seed": 40,
    "max_components": 1,
}


@pytest.fixture(scope="module")
def audited(shared_jobs):
    folder = shared_jobs.make(name="audit", config=CONFIG)
    return folder, shared_jobs.do(folder)


def test_the_region_lies_in_the_stripe_and_is_as_long(audited, graphs):
    folder, result = audited
    (region,) = result["regions"]
    assert (region["seed_label"], region["predicted_class"]) == (1, 0)
    # Inside the stripe 0 < z0 < boundary, clear of both its edges.
    assert 0.2 < region["mean"][0] < graphs.boundary - 0.05
    assert region["mean"][1] == pytest.approx(0.0, abs=0.25)
    assert region["misclassification_rate"]["lower"] > 0.9
    # The stripe holds an eighth of all inputs, and nothing else is misread.
    assert region["harm"]["lower"] <= 1 / 8 <= region["harm"]["upper"]
    assert region["harm"]["value"] == pytest.approx(1 / 8, rel=0.25)
    with np.load(folder / "output/regions.npz") as file:
        assert file["means"].shape == (1, 2)
        assert len(file["members"]) == region["size"]
        # z1 is uniform on [-2, 2].
        assert file["covariances"][0, 1, 1] == pytest.approx(16 / 12, rel=0.2)


def test_one_label_repairs_it_and_the_second_search_agrees(audited, make_job, do_job):
    folder, result = audited
    labels = [{"region": region["index"], "label": 1} for region in result["regions"]]
    correction = with_regions(make_job, folder, "correct", config={"labels": labels, "lambdas": [1.0]})
    corrected = do_job(correction)
    assert sum(point["chosen"] for point in corrected["curve"]) == 1

    evaluation = with_regions(
        make_job, folder, "evaluate", config={"labels": labels, "audit": CONFIG, "audit_seed": 1}
    )
    shutil.copy(correction / corrected["corrected"], evaluation / "inputs/candidate.onnx")
    document = json.loads((evaluation / "job.json").read_text())
    document["inputs"]["candidate"] = {"file": "inputs/candidate.onnx"}
    (evaluation / "job.json").write_text(json.dumps(document))
    evaluated = do_job(evaluation)
    assert evaluated["test_accuracy_after"] > evaluated["test_accuracy_before"] + 0.03
    (region,) = evaluated["regions"]
    assert region["confirmed"]
    assert region["accuracy_before"] < 0.1
    assert region["accuracy_after"] > 0.9
    second = evaluated["second_search"]
    assert second["misclassifications_after"] < 0.2 * second["misclassifications_before"]


def with_regions(make_job, audit, kind, **job):
    folder = make_job(kind, name=kind, **job)
    shutil.copy(audit / "output/regions.npz", folder / "inputs/regions.npz")
    document = json.loads((folder / "job.json").read_text())
    document["inputs"]["regions"] = {"file": "inputs/regions.npz"}
    (folder / "job.json").write_text(json.dumps(document))
    return folder
