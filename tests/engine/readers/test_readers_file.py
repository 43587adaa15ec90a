"""Readers that were trained once see the same when they are read from their file."""

import numpy as np
import pytest

from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.dataset import Split
from defuse_engine.readers.own_classifier import Effort, train_own_classifier
from defuse_engine.readers.readers_file import read_readers, write_readers

IMAGES = (
    np.random.default_rng(0).uniform(size=(64, 2, 12, 12)) * np.linspace(0.2, 1, 64)[:, None, None, None]
).astype(np.float32)


@pytest.fixture(scope="module")
def networks():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, len(IMAGES))
    designs = ("strided", "pooled", "low-pass")
    return [
        train_own_classifier(Split(IMAGES, labels), labels, 3, rng, "cpu", Effort(3, 8), design=design)
        for design in designs
    ]


@pytest.fixture
def file(networks, tmp_path):
    path = tmp_path / "readers.npz"
    write_readers(path, {"readers": networks[:2], "held-out": networks[2:]})
    return path


@pytest.mark.parametrize(("group", "first", "count"), [("readers", 0, 2), ("held-out", 2, 1)])
def test_what_is_read_sees_what_was_written(networks, file, group, first, count):
    read = read_readers(file, group, count, (2, 12, 12), 3, "cpu")
    assert len(read) == count
    for one, other in zip(read, networks[first:], strict=False):
        np.testing.assert_array_equal(one.probabilities(IMAGES), other.probabilities(IMAGES))


@pytest.mark.parametrize(
    ("group", "count", "shape", "classes"),
    [
        ("readers", 3, (2, 12, 12), 3),
        ("others", 1, (2, 12, 12), 3),
        ("readers", 2, (1, 12, 12), 3),
        ("readers", 2, (2, 12, 12), 4),
    ],
)
def test_readers_of_another_dataset_are_refused(file, group, count, shape, classes):
    with pytest.raises(JobInvalid, match=f"expected {count} {group} of an audit"):
        read_readers(file, group, count, shape, classes, "cpu")


@pytest.mark.parametrize("content", [b"PK nothing", b"PK\x03\x04 cut off"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "readers.npz"
    path.write_bytes(content)
    with pytest.raises(JobInvalid, match=r"readers\.npz has none"):
        read_readers(path, "readers", 1, (2, 12, 12), 3, "cpu")
