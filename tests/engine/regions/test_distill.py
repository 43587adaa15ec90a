"""Misclassified codes become regions that show one mistake each, rated and pictured for people."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from defuse_engine.models.device import open_runtime
from defuse_engine.regions.regions_file import read_regions


@pytest.fixture(scope="module")
def audited(shared_jobs):
    """An audit's folder and result."""
    folder = shared_jobs.make()
    return folder, shared_jobs.do(folder)


def test_an_audit_reports_the_stripe_that_is_wrong_as_its_regions(audited):
    _, result = audited
    assert result["regions"]
    for region in result["regions"]:
        assert (region["seed_label"], region["predicted_class"]) == (1, 0)
        assert 0.1 <= region["mean"][0] <= 0.5


def test_regions_are_rated_with_intervals(audited):
    _, result = audited
    for region in result["regions"]:
        rate, harm = region["misclassification_rate"], region["harm"]
        assert 0.5 < rate["lower"] <= rate["value"] <= rate["upper"] <= 1.0
        assert 0.0 <= harm["lower"] <= harm["value"] <= harm["upper"] <= 1.0
        assert region["confidence"] > 0.5
        assert region["bug_probability"] >= result["config"]["belief_threshold"]


def test_the_readers_say_how_far_they_see_the_seeds_label(audited):
    _, result = audited
    told = [region["label_probability"] for region in result["regions"]]
    assert 0.5 < min(told) <= max(told) <= 1.0
    for bug in result["bugs"]:
        sizes = [result["regions"][cell]["size"] for cell in bug["cells"]]
        expected = np.average([told[cell] for cell in bug["cells"]], weights=sizes)
        assert bug["label_probability"] == pytest.approx(expected)


def test_regions_come_by_harm(audited):
    _, result = audited
    assert [region["index"] for region in result["regions"]] == list(range(len(result["regions"])))
    harms = [region["harm"]["value"] for region in result["regions"]]
    assert harms == sorted(harms, reverse=True)
    assert harms[0] > 0.0


def test_a_region_is_shown_beside_the_items_nearest_to_it(audited):
    folder, result = audited
    for region in result["regions"]:
        distances = [item["distance"] for item in region["nearest"]]
        assert distances == sorted(distances)
        assert len(distances) == region["sheet"]["count"] == 9
        for sheet in (region["sheet"], region["nearest_sheet"]):
            with Image.open(folder / sheet["file"]) as picture:
                size = picture.size
            assert size == (sheet["columns"] * sheet["tile_width"], sheet["rows"] * sheet["tile_height"])


def test_the_arrays_of_regions_are_those_of_the_result(audited):
    folder, result = audited
    regions = read_regions(folder / "output/regions.npz")
    assert regions.means.tolist() == [region["mean"] for region in result["regions"]]
    assert regions.sizes.tolist() == [region["size"] for region in result["regions"]]
    assert np.diff(regions.member_offsets).tolist() == regions.sizes.tolist()
    chunks = sorted((folder / "output/chunks").iterdir())
    predicted = np.concatenate([np.load(chunk)["predicted_class"] for chunk in chunks])
    for index in range(len(regions)):
        members = regions.members[regions.member_offsets[index] : regions.member_offsets[index + 1]]
        assert set(predicted[members]) == {regions.predicted_classes[index]}


def test_result_json_has_numbers_that_every_reader_takes(audited):
    folder, _ = audited
    not_json: list[str] = []
    json.loads((folder / "output/result.json").read_text(), parse_constant=not_json.append)
    assert not_json == []


def test_an_audit_done_twice_gives_the_same_bytes(make_job, do_job, reporter):
    def outputs(folder: Path) -> dict[str, bytes]:
        output = folder / "output"
        return {str(p.relative_to(output)): p.read_bytes() for p in output.rglob("*") if p.is_file()}

    folders = [make_job(name=name) for name in ("first", "second")]
    for folder in folders:
        reporter.warnings.clear()
        do_job(folder)
    assert outputs(folders[0]) == outputs(folders[1])


def test_a_class_without_items_takes_part_in_nothing(make_job, do_job, graphs):
    # The third class is known to the classifier and to the dataset's names, but no item bears it.
    weights = np.stack([np.zeros(6), 20.0 * graphs.basis[:, 0], np.zeros(6)], axis=1)
    result = do_job(
        make_job(
            files={"classifier.onnx": graphs.linear(weights, [0.0, -20.0 * graphs.boundary, -100.0])},
            inputs={"dataset": {"class_names": ["left", "right", "nowhere"]}},
        )
    )
    assert {(r["seed_label"], r["predicted_class"]) for r in result["regions"]} == {(1, 0)}


def test_more_tiles_than_a_region_is_rated_on_are_shown_all_the_same(make_job, do_job):
    result = do_job(make_job(config={"sheet_samples": 130, "max_components": 2, "max_seeds": 1500}))
    assert result["regions"]
    assert {region["sheet"]["count"] for region in result["regions"]} == {130}


def test_a_classifier_without_bugs_gives_no_region_and_says_so(make_job, do_job, graphs, reporter):
    folder = make_job(
        files={"classifier.onnx": graphs.classifier(boundary=0.0)}, config={"noise_scale": 0.01}
    )
    result = do_job(folder)
    assert result["regions"] == []
    assert "NO_REGION" in [warning["reason"] for warning in reporter.warnings]
    assert len(read_regions(folder / "output/regions.npz")) == 0


@pytest.mark.gpu
def test_a_gpu_distills_the_same_regions(make_job, do_job):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    open_runtime("cuda:0", 1, 256)
    # Ascents compute in bfloat16 on some processors, and end elsewhere there.
    random_steps = {"methods": ["neighbourhood"], "noise_scale": 0.3}
    ours, theirs = (
        do_job(make_job(name=device, device=device, config=random_steps)) for device in ("cpu", "cuda:0")
    )
    assert len(ours["regions"]) == len(theirs["regions"])
    for one, other in zip(ours["regions"], theirs["regions"], strict=True):
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-2)
