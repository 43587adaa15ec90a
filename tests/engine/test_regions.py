"""Misclassified codes become regions that show one mistake each, rated and pictured for people."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from defuse_engine.configs import AuditConfig, paper_config
from defuse_engine.errors import JobInvalid
from defuse_engine.intervals import wilson
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.models.device import open_runtime
from defuse_engine.regions.grouping import group, sample_region
from defuse_engine.regions.mixture import fit_mixture
from defuse_engine.regions.regions_file import read_regions
from defuse_engine.search.misclassification_rows import select
from defuse_engine.types import Misclassifications


def two_mistakes_in_one_place(count=120) -> Misclassifications:
    """Two mistakes whose codes overlap: only seed label and predicted class tell them apart."""
    rng = np.random.default_rng(0)
    first = np.arange(count) % 2 == 0
    return Misclassifications(
        codes=rng.normal(0, 1, (count, 3)).astype(np.float32),
        seed_index=np.arange(count),
        seed_split=np.zeros(count, np.uint8),
        seed_label=np.where(first, 4, 7).astype(np.int32),
        predicted_class=np.where(first, 9, 1).astype(np.int32),
        confidence=np.full(count, 0.6, np.float32),
        delta_norm=np.ones(count, np.float32),
        agreement=np.ones(count, np.float32),
        bug_probability=np.ones(count, np.float32),
        method=np.full(count, 2, np.uint8),
    )


def purity(found, regions) -> float:
    def of(region):
        return (found.seed_label[region.members] == region.seed_label).mean()

    return float(np.mean([of(region) for region in regions]))


def test_a_region_shows_one_mistake_where_codes_alone_would_mix_two():
    found = two_mistakes_in_one_place()
    by_pair = group(found, AuditConfig(), 0, lambda done, total: None).regions
    by_code = group(found, paper_config(), 0, lambda done, total: None).regions
    assert {(r.seed_label, r.predicted_class) for r in by_pair} == {(4, 9), (7, 1)}
    assert purity(found, by_pair) == 1.0
    assert purity(found, by_code) < 0.9


def test_every_region_has_codes_enough_and_shares_none():
    found = two_mistakes_in_one_place()
    regions = group(found, AuditConfig(), 0, lambda done, total: None).regions
    members = np.concatenate([region.members for region in regions])
    assert len(np.unique(members)) == len(members)
    assert all(len(region.members) >= 10 for region in regions)
    assert sum(region.weight for region in regions) == pytest.approx(len(members) / len(found))


@pytest.mark.parametrize("config", [AuditConfig(), paper_config()], ids=["default", "paper"])
def test_nine_codes_are_no_region_and_ten_are(config):
    found = two_mistakes_in_one_place(18)
    assert group(select(found, np.arange(9)), config, 0, lambda done, total: None).regions == ()
    one_mistake = select(two_mistakes_in_one_place(20), np.arange(0, 20, 2))
    regions = group(one_mistake, config, 0, lambda done, total: None).regions
    assert {(region.seed_label, region.predicted_class) for region in regions} == {(4, 9)}
    assert sum(len(region.members) for region in regions) == 10


@pytest.mark.parametrize("config", [AuditConfig(), paper_config()], ids=["default", "paper"])
def test_identical_codes_are_a_region_that_can_be_sampled(config):
    found = select(two_mistakes_in_one_place(), np.zeros(30, np.int64))
    (region,) = group(found, config, 0, lambda done, total: None).regions
    assert len(region.members) == 30
    np.testing.assert_allclose(region.mean, found.codes[0], atol=1e-4)
    samples = sample_region(region.mean, region.covariance, 0.1, 50, np.random.default_rng(0))
    np.testing.assert_allclose(samples, np.repeat(found.codes[:1], 50, axis=0), atol=0.05)


def test_a_mixture_finds_the_clusters_and_their_spread():
    rng = np.random.default_rng(1)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    codes = np.concatenate([rng.normal(centre, 0.5, (200, 2)) for centre in centres]).astype(np.float32)
    mixture = fit_mixture(codes, 10, 10_000, 0)
    assert mixture.converged
    used = np.flatnonzero(np.bincount(mixture.assignment, minlength=len(mixture.weights)) > 20)
    assert len(used) == 3
    for centre in centres:
        nearest = used[np.argmin(np.linalg.norm(mixture.means[used] - centre, axis=1))]
        assert np.allclose(mixture.means[nearest], centre, atol=0.15)
        # The prior draws each component's spread towards that of all codes.
        assert np.allclose(mixture.covariances[nearest], 0.25 * np.eye(2), atol=0.2)


def test_many_codes_are_sampled_for_the_fit_and_all_assigned():
    codes = np.random.default_rng(2).normal(size=(500, 2)).astype(np.float32)
    mixture = fit_mixture(codes, 3, 100, 5)
    assert len(mixture.assignment) == 500
    again = fit_mixture(codes, 3, 100, 5)
    assert np.array_equal(mixture.means, again.means)


def test_identical_codes_are_no_obstacle():
    mixture = fit_mixture(np.ones((20, 4), np.float32), 2, 100, 0)
    assert np.isfinite(mixture.covariances).all()


def test_samples_of_a_region_have_its_mean_and_tau_of_its_covariance():
    covariance = np.array([[2.0, 0.9], [0.9, 1.0]])
    samples = sample_region(np.array([3.0, -1.0]), covariance, 0.25, 20_000, np.random.default_rng(0))
    assert samples.dtype == np.float32
    assert np.allclose(samples.mean(axis=0), [3.0, -1.0], atol=0.02)
    assert np.allclose(np.cov(samples.T), 0.25 * covariance, atol=0.02)


@pytest.mark.parametrize(("successes", "samples"), [(8, 10), (1, 20), (50, 100)])
def test_wilsons_bounds_solve_the_score_equation(successes, samples):
    interval = wilson(successes, samples)
    for bound in (interval.lower, interval.upper):
        standard_error = (bound * (1 - bound) / samples) ** 0.5
        assert abs(interval.value - bound) == pytest.approx(1.959964 * standard_error, rel=1e-5)
    assert interval.lower < interval.value < interval.upper


def test_wilsons_interval_of_a_known_case():
    # E.g. 8 of 10, as statistics texts give it.
    assert (wilson(8, 10).lower, wilson(8, 10).upper) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(0, 20).lower == 0.0


def test_nothing_counted_is_no_knowledge():
    assert (wilson(0, 0).lower, wilson(0, 0).upper) == (0.0, 1.0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_contact_sheet_shows_each_image_in_its_tile(channels):
    images = np.zeros((5, channels, 8, 6), np.float32)
    images[3] = 1.0
    sheet = contact_sheet(images, 0.0, 1.0)
    picture = np.asarray(Image.open(io.BytesIO(sheet.png)).convert("RGB"))
    assert (sheet.columns, sheet.rows, sheet.count) == (3, 2, 5)
    assert picture.shape == (2 * sheet.tile_height, 3 * sheet.tile_width, 3)
    assert min(sheet.tile_width, sheet.tile_height) >= 56
    tiles = picture.reshape(2, sheet.tile_height, 3, sheet.tile_width, 3).swapaxes(1, 2).reshape(6, -1, 3)
    middle = [tile.reshape(sheet.tile_height, sheet.tile_width, 3)[30, 30].tolist() for tile in tiles]
    assert middle[:5] == [[0] * 3, [0] * 3, [0] * 3, [255] * 3, [0] * 3]


def test_the_same_images_give_the_same_png_and_any_range_is_shown():
    images = np.random.default_rng(0).normal(0, 50, (4, 3, 9, 9)).astype(np.float32)
    assert contact_sheet(images, -150.0, 150.0).png == contact_sheet(images, -150.0, 150.0).png
    assert contact_sheet(images, 5.0, 5.0).count == 4


def test_an_audit_reports_the_stripe_that_is_wrong_as_its_regions(make_job, do_job):
    folder = make_job()
    result = do_job(folder)
    assert result["regions"]
    for index, region in enumerate(result["regions"]):
        assert region["index"] == index
        assert (region["seed_label"], region["predicted_class"]) == (1, 0)
        assert 0.1 <= region["mean"][0] <= 0.5
        rate = region["misclassification_rate"]
        assert 0.5 < rate["lower"] <= rate["value"] <= rate["upper"] <= 1.0
        assert region["confidence"] > 0.5
        distances = [item["distance"] for item in region["nearest"]]
        assert distances == sorted(distances)
        assert len(distances) == region["sheet"]["count"] == 25
        for sheet in (region["sheet"], region["nearest_sheet"]):
            with Image.open(folder / sheet["file"]) as picture:
                size = picture.size
            assert size == (sheet["columns"] * sheet["tile_width"], sheet["rows"] * sheet["tile_height"])
        assert region["bug_probability"] >= result["config"]["belief_threshold"]
        harm = region["harm"]
        assert 0.0 <= harm["lower"] <= harm["value"] <= harm["upper"] <= 1.0
    harms = [region["harm"]["value"] for region in result["regions"]]
    assert harms == sorted(harms, reverse=True)
    assert harms[0] > 0.0


def tiles_of(folder: Path, sheet) -> list[bytes]:
    """The pixels of each tile of a sheet."""
    height, width = sheet["tile_height"], sheet["tile_width"]
    with Image.open(folder / sheet["file"]) as picture:
        corners = [divmod(index, sheet["columns"]) for index in range(sheet["count"])]
        boxes = [(c * width, r * height, (c + 1) * width, (r + 1) * height) for r, c in corners]
        return [picture.crop(box).tobytes() for box in boxes]


def tile(item, low, high) -> bytes:
    """The pixels of a sheet of one item."""
    with Image.open(io.BytesIO(contact_sheet(item[None], low, high).png)) as picture:
        return picture.tobytes()


def test_gold_sheets_show_validation_items_of_one_class(make_job, do_job):
    folder = make_job(config={"gold_sheets": 2, "sheet_samples": 4})
    gold = do_job(folder)["gold"]
    assert [one["label"] for one in gold] == [0, 0, 1, 1]
    with np.load(folder / "inputs/dataset.npz") as data:
        images, labels, train = data["x_validation"], data["y_validation"], data["x_train"]
    low, high = float(train.min()), float(train.max())
    for one in gold:
        assert one["sheet"]["count"] == one["nearest_sheet"]["count"] == 4
        # Every tile is an item of the class, to the last pixel, and they differ.
        known = {tile(item, low, high) for item in images[labels == one["label"]]}
        tiles = tiles_of(folder, one["sheet"])
        assert set(tiles) <= known
        assert len(set(tiles)) > 1
        assert tiles_of(folder, one["nearest_sheet"])


def test_without_being_asked_for_there_are_no_gold_sheets(make_job, do_job):
    folder = make_job()
    assert do_job(folder)["gold"] == []
    assert not list((folder / "output/sheets").glob("gold*"))


def test_the_arrays_of_regions_are_those_of_the_result(make_job, do_job):
    folder = make_job()
    result = do_job(folder)
    regions = read_regions(folder / "output/regions.npz")
    assert regions.means.tolist() == [region["mean"] for region in result["regions"]]
    assert regions.sizes.tolist() == [region["size"] for region in result["regions"]]
    assert np.diff(regions.member_offsets).tolist() == regions.sizes.tolist()
    chunks = sorted((folder / "output/chunks").iterdir())
    predicted = np.concatenate([np.load(chunk)["predicted_class"] for chunk in chunks])
    for index in range(len(regions)):
        members = regions.members[regions.member_offsets[index] : regions.member_offsets[index + 1]]
        assert set(predicted[members]) == {regions.predicted_classes[index]}


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


def test_regions_of_another_form_are_refused(tmp_path):
    path = tmp_path / "regions.npz"
    np.savez(path, weights=np.ones(2))
    with pytest.raises(JobInvalid, match=r"regions\.npz"):
        read_regions(path)


def test_result_json_has_numbers_that_every_reader_takes(make_job, do_job):
    folder = make_job()
    do_job(folder)

    not_json: list[str] = []
    json.loads((folder / "output/result.json").read_text(), parse_constant=not_json.append)
    assert not_json == []


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
