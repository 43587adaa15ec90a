"""Cells are one bug if correcting one corrects the other."""

import json

import numpy as np
import pytest

from defuse_engine.covariance import diagonal
from defuse_engine.regions.bugs import by_gradient, in_two, one_by_one
from defuse_engine.regions.grouping import Region
from defuse_engine.regions.sampled_regions import SampledRegion

RIGHT, ABOVE, BELOW = 1, 0, 2


@pytest.fixture
def run(open_run, graphs):
    """The analytic models with a classifier of three classes: logits (5 z1, 20 z0 - 10, -5 z1)."""
    logits = np.stack([5 * graphs.basis[:, 1], 20 * graphs.basis[:, 0], -5 * graphs.basis[:, 1]], axis=1)
    dataset = graphs.dataset()
    for split in ("train", "validation", "test"):
        codes = dataset[f"x_{split}"].reshape(-1, 6) @ graphs.basis
        left = np.where(codes[:, 1] > 0, ABOVE, BELOW)
        dataset[f"y_{split}"] = np.where(codes[:, 0] > 0, RIGHT, left)
    return open_run(
        files={"classifier.onnx": graphs.linear(logits, [0.0, -10.0, 0.0]), "dataset.npz": dataset},
        inputs={"dataset": {"class_names": ["above", "right", "below"]}},
    )


def cell(mean, predicted_class, seed_label=RIGHT) -> SampledRegion:
    """A small region of 20 samples."""
    region = Region(
        0.1, np.array(mean, float), diagonal(np.full(2, 0.03)), seed_label, predicted_class, np.arange(10)
    )
    codes = region.mean + 0.03 * np.random.default_rng(0).standard_normal((20, 2))
    one = np.ones(20, np.float32)
    predicted = np.full(20, predicted_class)
    return SampledRegion(region, codes.astype(np.float32), predicted, one, one, np.full(20, seed_label), one)


def groups(bugs) -> set[tuple[int, ...]]:
    return {tuple(bug.cells.tolist()) for bug in bugs}


NEAR_EACH_OTHER = [cell((0.2, 1.0), ABOVE), cell((0.25, 1.2), ABOVE), cell((0.3, 0.9), ABOVE)]


def test_cells_that_one_correction_corrects_are_one_bug(run):
    assert groups(by_gradient(run, NEAR_EACH_OTHER)) == {(0, 1, 2)}


def test_cells_of_different_confusions_are_never_one_bug(run):
    cells = [*NEAR_EACH_OTHER, cell((0.2, -1.0), BELOW)]
    assert groups(by_gradient(run, cells)) == {(0, 1, 2), (3,)}


def test_cells_whose_corrections_work_against_each_other_are_two_bugs(run):
    # The same confusion, in images that are each other's negative.
    cells = [cell((0.2, 1.5), ABOVE), cell((-0.2, -1.5), ABOVE), cell((0.2, 1.4), ABOVE)]
    assert groups(by_gradient(run, cells)) == {(0, 2), (1,)}


def test_a_bug_has_the_confusion_of_its_cells(run):
    (bug,) = by_gradient(run, NEAR_EACH_OTHER)
    assert (bug.seed_label, bug.predicted_class) == (RIGHT, ABOVE)


def test_without_regions_there_are_no_bugs(run):
    assert by_gradient(run, []) == []


def test_the_published_method_labels_each_region(run):
    assert groups(one_by_one(run, NEAR_EACH_OTHER)) == {(0,), (1,), (2,)}


def test_a_mixed_bug_is_parted_where_its_cells_are_least_alike(run):
    cells = [cell((0.2, 1.5), ABOVE), cell((0.2, 0.1), ABOVE), cell((0.2, 1.4), ABOVE)]
    assert groups(in_two(run, cells)) == {(0, 2), (1,)}


def test_a_mixed_bug_whose_cells_belong_to_two_labels_is_parted_between_them(run):
    # The first and the third lie right of the line and show RIGHT; the others lie left of it and show BELOW.
    cells = [cell(mean, ABOVE) for mean in ((0.2, 1.5), (-0.2, -1.5), (0.25, 1.4), (-0.25, -1.4))]
    assert groups(in_two(run, cells)) == {(0, 2), (1, 3)}


@pytest.fixture(scope="module")
def audited(shared_jobs):
    folder = shared_jobs.make()
    return folder, shared_jobs.do(folder)


def test_every_region_is_a_cell_of_one_bug(audited):
    _, result = audited
    cells = [cell for bug in result["bugs"] for cell in bug["cells"]]
    assert sorted(cells) == [region["index"] for region in result["regions"]]


def test_there_are_fewer_bugs_than_regions(audited):
    _, result = audited
    assert len(result["bugs"]) < len(result["regions"])


def test_the_harm_of_a_bug_is_that_of_its_cells(audited):
    _, result = audited
    for bug in result["bugs"]:
        cells = sum(result["regions"][cell]["harm"]["value"] for cell in bug["cells"])
        assert bug["harm"]["value"] == pytest.approx(cells)


def test_bugs_come_by_harm_and_share_all_of_it(audited):
    _, result = audited
    shares = [bug["harm_share"] for bug in result["bugs"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)


def test_a_bug_covers_many_seeds(audited):
    _, result = audited
    assert max(bug["seed_count"] for bug in result["bugs"]) >= 5


def test_a_bug_has_the_codes_of_its_cells(audited):
    _, result = audited
    for bug in result["bugs"]:
        assert bug["size"] == sum(result["regions"][cell]["size"] for cell in bug["cells"])


def test_the_sheet_of_a_bug_shows_nine_samples_from_as_many_cells_as_it_can(audited):
    folder, result = audited
    for bug in result["bugs"]:
        assert bug["sheet"]["count"] == bug["nearest_sheet"]["count"] == len(bug["shown_cells"]) == 9
        assert len(set(bug["shown_cells"])) == min(9, len(bug["cells"]))
        assert np.load(folder / bug["sheet"]["samples_file"]).shape == (9, 2, 3, 1)


def test_the_samples_of_a_sheet_differ_more_than_those_of_a_cell(audited):
    folder, result = audited

    def spread(sheet) -> float:
        return np.load(folder / sheet["samples_file"]).reshape(9, -1).astype(float).std(axis=0).sum()

    for bug in result["bugs"]:
        assert spread(bug["sheet"]) > min(spread(result["regions"][cell]["sheet"]) for cell in bug["cells"])


def test_no_dataset_item_is_shown_twice_beside_a_bug(audited):
    for bug in audited[1]["bugs"]:
        items = [item["index"] for item in bug["nearest"]]
        assert len(set(items)) == len(items) == 9


def test_the_result_is_json_without_numpy_numbers(audited):
    assert json.loads(json.dumps(audited[1]["bugs"])) == audited[1]["bugs"]
