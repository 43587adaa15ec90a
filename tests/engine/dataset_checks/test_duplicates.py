"""Items that stand in two splits are found, also shifted or brighter; items that are distinct are not."""

import numpy as np
import pytest

from defuse_engine.dataset_checks.duplicates import duplicate_sheet, find_duplicates, warn_of_duplicates
from defuse_engine.dataset_checks.near_images import NearImages
from defuse_engine.dataset_checks.same_images import image_digests
from defuse_engine.inputs.dataset import Dataset, Split

CLASSES = 3
SIDE = 28


def pictures(count: int, rng: np.random.Generator) -> Split:
    """Smooth pictures on a black ground: what their class shows, and as much that is their own."""
    shown = np.random.default_rng(0).random((CLASSES, 5, 5))
    labels = rng.integers(0, CLASSES, count)
    coarse = 0.5 * shown[labels] + 0.5 * rng.random((count, 5, 5))
    pixels = np.zeros((count, 1, SIDE, SIDE), np.uint8)
    pixels[:, 0, 4:24, 4:24] = np.rint(200 * coarse.repeat(4, axis=1).repeat(4, axis=2))
    return Split(pixels, labels)


def changed(split: Split, rng: np.random.Generator, how: str) -> Split:
    images = split.pixels.astype(np.float64)
    made = {
        "shifted": lambda: np.roll(images, (2, -1), (2, 3)),
        "brighter": lambda: images * 0.8 + 40,
        "noisy": lambda: images + rng.normal(0, 8, images.shape),
    }[how]()
    return Split(np.clip(np.rint(made), 0, 255).astype(np.uint8), split.labels)


def part(split: Split, items: slice) -> Split:
    return Split(split.pixels[items], split.labels[items])


def joined(*splits: Split) -> Split:
    return Split(
        np.concatenate([one.pixels for one in splits]), np.concatenate([one.labels for one in splits])
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize("how", ["shifted", "brighter", "noisy"])
def test_a_changed_copy_is_found_with_its_original(how, rng):
    train = pictures(900, rng)
    copies = changed(part(train, slice(0, 200)), rng, how)
    near = NearImages(train, np.arange(900), CLASSES).in_train(copies, np.arange(200))
    assert len(near.item) >= 190
    assert (near.twin == near.item).mean() > 0.99


@pytest.mark.parametrize("count", [12, 60, 1500])
def test_distinct_items_are_no_copies(count, rng):
    train, others = pictures(count, rng), pictures(1000, rng)
    near = NearImages(train, np.arange(count), CLASSES).in_train(others, np.arange(1000))
    assert len(near.item) <= 10


@pytest.mark.parametrize("directions", [1, 2, 4])
def test_items_that_vary_in_few_ways_are_crowded_and_no_copies(directions, rng):
    ways = rng.standard_normal((directions, SIDE * SIDE))

    def crowd(count: int) -> Split:
        pixels = np.tanh(rng.uniform(-1, 1, (count, directions)) @ ways).reshape(-1, 1, SIDE, SIDE)
        return Split(pixels.astype(np.float32), np.arange(count) % 2)

    near = NearImages(crowd(2000), np.arange(2000), 2).in_train(crowd(1000), np.arange(1000))
    assert len(near.item) <= 10


def test_copies_are_counted_by_splits_shown_and_warned_of(rng, reporter, tmp_path):
    train, fresh = pictures(900, rng), pictures(600, rng)
    same, near = part(train, slice(0, 20)), changed(part(train, slice(20, 60)), rng, "shifted")
    validation, test = joined(same, near, part(fresh, slice(0, 300))), part(fresh, slice(290, 600))
    dataset = Dataset(train, validation, test, CLASSES, ())
    found = find_duplicates(dataset, image_digests(dataset), 0)
    assert [(one.split, one.other_split) for one in found] == [
        ("validation", "train"),
        ("test", "train"),
        ("test", "validation"),
    ]
    assert [one.same_count for one in found] == [20, 0, 10]
    assert [one.sample_size for one in found] == [340, 310, 300]
    assert 38 <= found[0].near_count <= 43
    assert found[1].near_count + found[2].near_count <= 4
    warn_of_duplicates(found, reporter)
    (warning,) = reporter.warnings
    assert warning["reason"] == "DUPLICATES_ACROSS_SPLITS"
    assert "20 of 360 validation items are train items too, and" in warning["message"]
    assert "10 of 310 test items are validation items too" in warning["message"]
    pairs = found[0].pairs
    assert {(pair.index, pair.other_index) for pair in pairs} >= {(place, place) for place in range(6)}
    sheet = duplicate_sheet(dataset, pairs, 0.0, 1.0, tmp_path)
    assert sheet["count"] == 2 * len(pairs) == 24
    shown = np.load(tmp_path / sheet["samples_file"])
    assert (shown[0] == shown[1]).all()


def test_of_distinct_splits_nothing_is_said(rng, reporter, tmp_path):
    dataset = Dataset(pictures(900, rng), pictures(300, rng), pictures(300, rng), CLASSES, ())
    warn_of_duplicates(find_duplicates(dataset, image_digests(dataset), 0), reporter)
    assert reporter.warnings == []
    assert duplicate_sheet(dataset, [], 0.0, 1.0, tmp_path) is None


def test_large_images_of_many_channels_are_compared_too(rng):
    small = pictures(60, rng)
    large = Split(small.pixels.repeat(3, axis=2).repeat(3, axis=3).repeat(5, axis=1), small.labels)
    near = NearImages(large, np.arange(60), CLASSES).in_train(changed(large, rng, "brighter"), np.arange(60))
    assert (near.twin == near.item).sum() >= 58


def test_huge_values_are_compared_like_others(rng):
    small = pictures(60, rng)
    huge = Split(small.pixels.astype(np.float32) * np.float32(1e35), small.labels)
    near = NearImages(huge, np.arange(60), CLASSES).in_train(small, np.arange(60))
    assert (near.twin == near.item).sum() >= 58
