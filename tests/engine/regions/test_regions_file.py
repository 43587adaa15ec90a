"""`regions.npz` is read strictly, and holds factors in place of the covariances of large codes."""

import numpy as np
import pytest

from defuse_engine.covariance import Covariance, FullCovariance, LowRankCovariance
from defuse_engine.errors import JobInvalid
from defuse_engine.regions.regions_file import joined, read_regions, write_regions
from defuse_engine.types import Regions

RNG = np.random.default_rng(0)


def regions_of(covariances: list[Covariance], size: int) -> Regions:
    """Regions of two codes each."""
    count = len(covariances)
    return Regions(
        weights=np.full(count, 1.0 / max(1, count)),
        means=RNG.normal(size=(count, size)),
        covariances=tuple(covariances),
        seed_labels=np.ones(count, np.int32),
        predicted_classes=np.zeros(count, np.int32),
        sizes=np.full(count, 2),
        member_offsets=2 * np.arange(count + 1),
        members=np.arange(2 * count),
        tau=0.1,
    )


def full(size: int) -> FullCovariance:
    return FullCovariance(np.cov(RNG.normal(size=(size, 2 * size))))


def low_rank(size: int, axes: int) -> LowRankCovariance:
    return LowRankCovariance(
        RNG.normal(size=(size, axes)).astype(np.float32), RNG.uniform(size=size).astype(np.float32)
    )


def written(path, regions: Regions) -> dict[str, np.ndarray]:
    write_regions(path, regions)
    with np.load(path) as file:
        return dict(file)


def test_small_codes_keep_their_covariances(tmp_path):
    path, regions = tmp_path / "regions.npz", regions_of([full(3), full(3)], 3)
    arrays = written(path, regions)
    assert list(arrays) == [
        "weights",
        "means",
        "covariances",
        "seed_labels",
        "predicted_classes",
        "sizes",
        "member_offsets",
        "members",
        "tau",
    ]
    np.testing.assert_array_equal(arrays["covariances"], [one.matrix() for one in regions.covariances])
    first = path.read_bytes()
    write_regions(path, read_regions(path))
    assert path.read_bytes() == first


def test_large_codes_have_factors_and_each_region_keeps_its_own_axes(tmp_path):
    path, regions = tmp_path / "regions.npz", regions_of([low_rank(100, 3), low_rank(100, 0)], 100)
    arrays = written(path, regions)
    assert "covariances" not in arrays
    assert (arrays["axes"].shape, arrays["noise"].shape) == ((2, 100, 3), (2, 100))
    assert arrays["axes"].dtype == arrays["noise"].dtype == np.float32
    for one, other in zip(read_regions(path).covariances, regions.covariances, strict=True):
        np.testing.assert_array_equal(one.axes, other.axes)
        np.testing.assert_array_equal(one.noise, other.noise)


@pytest.mark.parametrize("size", [2, 100])
def test_no_regions_are_a_file_too(tmp_path, size):
    path = tmp_path / "regions.npz"
    write_regions(path, regions_of([], size))
    assert read_regions(path).means.shape == (0, size)


def test_covariances_of_large_codes_in_older_files_stay_as_they_were(tmp_path):
    path, older = tmp_path / "regions.npz", regions_of([full(70)], 70)
    arrays = written(path, older)
    np.testing.assert_array_equal(arrays["covariances"], [older.covariances[0].matrix()])
    grown = joined(read_regions(path), regions_of([low_rank(70, 2)], 70))
    arrays = written(path, grown)
    assert "axes" not in arrays
    np.testing.assert_array_equal(arrays["covariances"], [one.matrix() for one in grown.covariances])


def test_hundreds_of_regions_of_large_codes_take_tens_of_megabytes(tmp_path):
    path = tmp_path / "regions.npz"
    one = low_rank(512, 64)
    write_regions(path, regions_of([one] * 500, 512))
    # As matrices they were a gigabyte.
    assert path.stat().st_size < 75e6
    read = read_regions(path)
    held = {id(array.base): array.base.nbytes for one in read.covariances for array in vars(one).values()}
    assert sum(held.values()) < 75e6


def test_regions_of_another_form_are_refused(tmp_path):
    path = tmp_path / "regions.npz"
    np.savez(path, weights=np.ones(2))
    with pytest.raises(JobInvalid, match=r"regions\.npz"):
        read_regions(path)


@pytest.mark.parametrize(
    ("regions", "name", "value"),
    [
        (regions_of([full(3)] * 2, 3), "covariances", np.zeros((2, 3, 2))),
        (regions_of([full(3)] * 2, 3), "weights", np.zeros(3)),
        (regions_of([full(3)] * 2, 3), "member_offsets", np.zeros(2, np.int64)),
        (regions_of([low_rank(70, 2)] * 2, 70), "axes", np.zeros((1, 70, 2), np.float32)),
        (regions_of([low_rank(70, 2)] * 2, 70), "axes", np.zeros((2, 70), np.float32)),
        (regions_of([low_rank(70, 2)] * 2, 70), "axes", np.zeros((2, 70, 2, 1), np.float32)),
        (regions_of([low_rank(70, 2)] * 2, 70), "noise", np.zeros((2, 2), np.float32)),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path, regions, name, value):
    path = tmp_path / "regions.npz"
    np.savez(path, **{**written(path, regions), name: value})
    with pytest.raises(JobInvalid, match=r"must agree.*" + name):
        read_regions(path)
    np.savez(path, **{**written(path, regions), name: np.array(0.0)})
    with pytest.raises(JobInvalid, match="must agree"):
        read_regions(path)


def test_factors_are_both_there_or_the_file_is_refused(tmp_path):
    path = tmp_path / "regions.npz"
    arrays = written(path, regions_of([low_rank(70, 2)], 70))
    del arrays["noise"]
    np.savez(path, **arrays)
    with pytest.raises(JobInvalid, match="noise"):
        read_regions(path)
