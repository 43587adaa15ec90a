"""A region that people called mixed comes back as regions that show one mistake each."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defuse_engine.configs import RegionSplitConfig
from defuse_engine.covariance import FullCovariance
from defuse_engine.errors import JobInvalid
from defuse_engine.regions.grouping import Region, cut
from defuse_engine.regions.regions_file import read_regions, write_regions
from defuse_engine.types import Regions

RIGHT, ABOVE, BELOW = 1, 0, 2


@pytest.fixture(scope="module")
def three_classes(graphs):
    """Files whose classifier reads the stripe right of z0 = 0 as ABOVE where z1 > 0, else as BELOW."""
    logits = np.stack([5 * graphs.basis[:, 1], 20 * graphs.basis[:, 0], -5 * graphs.basis[:, 1]], axis=1)
    dataset = graphs.dataset()
    for split in ("train", "validation", "test"):
        codes = dataset[f"x_{split}"].reshape(-1, 6) @ graphs.basis
        left = np.where(codes[:, 1] > 0, ABOVE, BELOW)
        dataset[f"y_{split}"] = np.where(codes[:, 0] > 0, RIGHT, left)
    return {
        "files": {"classifier.onnx": graphs.linear(logits, [0.0, -10.0, 0.0]), "dataset.npz": dataset},
        "inputs": {"dataset": {"class_names": ["above", "right", "below"]}},
    }


def write_split(make_job, audit: Path, regions: Regions, numbers, name="split", config=None, **job) -> Path:
    """Write the folder of a split of an audit's regions, or of others put in their place."""
    folder = make_job("split", name, **job)
    write_regions(folder / "inputs/regions.npz", regions)
    chunks = sorted((audit / "output/chunks").iterdir())
    for chunk in chunks:
        shutil.copy(chunk, folder / "inputs" / chunk.name)
    document = json.loads((folder / "job.json").read_text())
    document["inputs"]["regions"] = {"file": "inputs/regions.npz"}
    document["inputs"]["misclassifications"] = {"files": [f"inputs/{chunk.name}" for chunk in chunks]}
    document["config"] = {"regions": numbers, "audit": config or {}}
    (folder / "job.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def make_split(make_job):
    return partial(write_split, make_job)


def members(regions: Regions, number: int) -> np.ndarray:
    return regions.members[regions.member_offsets[number] : regions.member_offsets[number + 1]]


def merged(regions: Regions, codes: np.ndarray, one: int, other: int) -> Regions:
    """One region of the codes of two, beside a region that nobody asks to split."""
    rows = np.concatenate([members(regions, one), members(regions, other)])
    points = codes[rows].astype(np.float64)
    sizes = np.array([regions.sizes[one], len(rows)])
    return Regions(
        weights=np.array([regions.weights[one], regions.weights[one] + regions.weights[other]]),
        means=np.stack([regions.means[one], points.mean(axis=0)]),
        covariances=(regions.covariances[one], FullCovariance(np.cov(points.T))),
        seed_labels=regions.seed_labels[[one, one]],
        predicted_classes=regions.predicted_classes[[one, one]],
        sizes=sizes,
        member_offsets=np.concatenate([[0], np.cumsum(sizes)]),
        members=np.concatenate([members(regions, one), rows]),
        tau=regions.tau,
    )


def found_codes(audit: Path) -> np.ndarray:
    return np.concatenate([np.load(path)["codes"] for path in sorted((audit / "output/chunks").iterdir())])


@pytest.fixture(scope="module")
def two_in_one(shared_jobs, three_classes):
    """An audit's folder, and its regions with two of different mistakes put together."""
    audit = shared_jobs.make(name="audit", **three_classes)
    shared_jobs.do(audit)
    regions = read_regions(audit / "output/regions.npz")
    one = int(np.flatnonzero(regions.predicted_classes == ABOVE)[0])
    other = int(np.flatnonzero(regions.predicted_classes == BELOW)[0])
    return audit, merged(regions, found_codes(audit), one, other)


@pytest.fixture(scope="module")
def split(shared_jobs, two_in_one, three_classes):
    """The folder and the result of the split of that region."""
    folder = write_split(shared_jobs.make, *two_in_one, [1], **three_classes)
    return folder, shared_jobs.do(folder)


def test_two_mistakes_given_as_one_come_back_as_two(split):
    _, result = split
    parts = result["regions"]
    assert {(part["seed_label"], part["predicted_class"]) for part in parts} == {
        (RIGHT, ABOVE),
        (RIGHT, BELOW),
    }
    assert {part["parent"] for part in parts} == {1}
    assert result["unsplit"] == []


def test_with_the_readers_of_the_audit_a_split_trains_none_and_ends_with_the_same(
    split, two_in_one, make_split, run_engine, three_classes
):
    folder, result = split
    again = make_split(*two_in_one, [1], name="again", **three_classes)
    shutil.copy(two_in_one[0] / "output/readers.npz", again / "inputs")
    document = json.loads((again / "job.json").read_text())
    document["inputs"]["readers"] = {"file": "inputs/readers.npz"}
    (again / "job.json").write_text(json.dumps(document))
    ran = run_engine(again)
    assert not [line for line in ran.lines if line.get("unit") == "steps"]
    assert json.loads((again / "output/result.json").read_text()) == result
    assert (again / "output/regions.npz").read_bytes() == (folder / "output/regions.npz").read_bytes()


def test_parts_come_behind_the_regions_by_harm(split):
    _, result = split
    parts = result["regions"]
    assert [part["index"] for part in parts] == list(range(2, 2 + len(parts)))
    harms = [part["harm"]["value"] for part in parts]
    assert harms == sorted(harms, reverse=True)


def test_parts_are_rated_and_shown(split):
    folder, result = split
    for part in result["regions"]:
        assert part["misclassification_rate"]["lower"] > 0.5
        for sheet in (part["sheet"], part["nearest_sheet"]):
            with Image.open(folder / sheet["file"]) as picture:
                assert picture.size[0] == sheet["columns"] * sheet["tile_width"]


def test_the_regions_that_were_there_keep_their_numbers(split, two_in_one):
    (folder, result), (_, given) = split, two_in_one
    grown = read_regions(folder / "output/regions.npz")
    assert np.array_equal(grown.means[:2], given.means)
    assert np.array_equal(members(grown, 1), members(given, 1))
    assert grown.means[2:].tolist() == [part["mean"] for part in result["regions"]]
    assert grown.sizes[2:].tolist() == [part["size"] for part in result["regions"]]


def test_parts_share_the_codes_of_their_region_and_none_with_each_other(split, two_in_one):
    (folder, _), (_, given) = split, two_in_one
    grown = read_regions(folder / "output/regions.npz")
    shared = [set(members(grown, number)) for number in range(2, len(grown))]
    assert set.union(*shared) <= set(members(given, 1))
    assert sum(len(part) for part in shared) == len(set.union(*shared))


def test_parts_of_a_region_that_no_belief_model_saw_show_what_most_of_their_codes_show(
    two_in_one, make_split, do_job, three_classes
):
    audit, given = two_in_one
    result = do_job(make_split(audit, given, [1], config={"preset": "paper"}, **three_classes))
    assert sorted(part["predicted_class"] for part in result["regions"]) == [ABOVE, BELOW]
    assert sum(part["size"] for part in result["regions"]) == given.sizes[1]
    assert {part["label_probability"] for part in result["regions"]} == {0.0}


def test_what_comes_of_a_region_does_not_depend_on_its_company(make_job, make_split, do_job):
    audit = make_job()
    do_job(audit)
    regions = read_regions(audit / "output/regions.npz")
    assert len(regions) > 1

    def parts_of_1(numbers: list[int]) -> list[dict]:
        result = do_job(make_split(audit, regions, numbers, f"split-{len(numbers)}"))
        return [
            {name: part[name] for name in ("mean", "size", "harm", "misclassification_rate")}
            for part in result["regions"]
            if part["parent"] == 1
        ]

    alone = parts_of_1([1])
    assert len(alone) > 1
    assert parts_of_1([0, 1]) == alone


def test_a_region_of_too_few_codes_stays_whole_and_says_why(make_job, make_split, do_job):
    audit = make_job()
    do_job(audit)
    regions = read_regions(audit / "output/regions.npz")
    sizes = np.append(regions.sizes[:-1], 9)
    short = replace(
        regions,
        sizes=sizes,
        member_offsets=np.concatenate([[0], np.cumsum(sizes)]),
        members=regions.members[: sizes.sum()],
    )
    folder = make_split(audit, short, [len(short) - 1])
    result = do_job(folder)
    assert result["regions"] == []
    (unsplit,) = result["unsplit"]
    assert unsplit["region"] == len(short) - 1
    assert "9 codes" in unsplit["reason"]
    assert len(read_regions(folder / "output/regions.npz")) == len(short)


def test_a_region_of_as_few_codes_as_the_search_takes_comes_apart(
    make_job, make_split, do_job, three_classes
):
    audit = make_job(**three_classes)
    do_job(audit)
    regions = read_regions(audit / "output/regions.npz")
    one = int(np.flatnonzero(regions.predicted_classes == ABOVE)[0])
    other = int(np.flatnonzero(regions.predicted_classes == BELOW)[0])
    rows = np.concatenate([members(regions, one)[:6], members(regions, other)[:6]])
    points = found_codes(audit)[rows].astype(np.float64)
    few = Regions(
        weights=regions.weights[[one]],
        means=points.mean(axis=0, keepdims=True),
        covariances=(FullCovariance(np.cov(points.T)),),
        seed_labels=regions.seed_labels[[one]],
        predicted_classes=regions.predicted_classes[[one]],
        sizes=np.array([12]),
        member_offsets=np.array([0, 12]),
        members=rows,
        tau=regions.tau,
    )
    result = do_job(make_split(audit, few, [0], **three_classes))
    assert {part["predicted_class"] for part in result["regions"]} == {ABOVE, BELOW}


def test_a_cloud_that_no_mixture_takes_apart_is_cut_across_its_longest_axis():
    rng = np.random.default_rng(0)
    codes = (rng.normal(size=(60, 3)) * [0.1, 5.0, 0.1]).astype(np.float32)
    covariance = FullCovariance(np.cov(codes.T))
    region = Region(0.5, codes.mean(axis=0, dtype=np.float64), covariance, 1, 0, np.arange(60))
    first, second = cut(region, codes, 0, "cpu")
    assert len(first.members) == len(second.members) == 30
    assert sorted([*first.members, *second.members]) == list(range(60))
    assert abs(first.mean[1] - second.mean[1]) > 4
    assert first.weight == second.weight == 0.25


def test_regions_and_misclassifications_of_different_audits_are_refused(make_job, make_split, do_job):
    audit = make_job()
    do_job(audit)
    regions = read_regions(audit / "output/regions.npz")
    with pytest.raises(JobInvalid, match="the audit has regions"):
        do_job(make_split(audit, regions, [len(regions)], "beyond"))
    foreign = replace(regions, members=regions.members + 10**6)
    with pytest.raises(JobInvalid, match="the files hold"):
        do_job(make_split(audit, foreign, [0], "foreign"))


def test_a_region_is_split_once():
    with pytest.raises(JobInvalid, match="twice"):
        RegionSplitConfig.from_json({"regions": [1, 1]})
