"""A covariance of factors is the matrix that they stand for, at a fraction of its size."""

import numpy as np
import pytest

from defuse_engine.covariance import FullCovariance, LowRankCovariance, diagonal

SIZE = 80


def axes_of(count: int) -> np.ndarray:
    """Orthogonal axes (80, count) of decreasing length."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(SIZE, SIZE)))[0][:, :count]
    return (basis * np.geomspace(3.0, 0.3, count)).astype(np.float32)


NOISE = np.linspace(0.1, 0.5, SIZE).astype(np.float32)
LOW_RANK = {
    "low rank": LowRankCovariance(axes_of(12), NOISE),
    "diagonal": LowRankCovariance(axes_of(0), NOISE),
    "all axes": LowRankCovariance(axes_of(64), np.full(SIZE, 0.2, np.float32)),
    "singular": LowRankCovariance(axes_of(12), np.zeros(SIZE, np.float32)),
    "no noise in one coordinate": LowRankCovariance(axes_of(0), NOISE * (np.arange(SIZE) > 0)),
    "no spread": LowRankCovariance(axes_of(0), np.zeros(SIZE, np.float32)),
}
ALL = {**LOW_RANK, "full": FullCovariance(LOW_RANK["low rank"].matrix())}


@pytest.mark.parametrize("covariance", ALL.values(), ids=ALL)
def test_samples_have_tau_times_the_covariance(covariance):
    samples = covariance.sample(0.25, 40_000, np.random.default_rng(1))
    matrix = covariance.matrix()
    assert samples.shape == (40_000, SIZE)
    np.testing.assert_allclose(samples.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(np.cov(samples.T), 0.25 * matrix, atol=0.02)
    # No sample leaves what the covariance spans.
    unused = np.linalg.eigh(matrix)[1][:, np.linalg.eigvalsh(matrix) < 1e-9]
    np.testing.assert_allclose(samples @ unused, 0.0, atol=1e-4)


@pytest.mark.parametrize("tau", [1.0, 0.1])
@pytest.mark.parametrize("covariance", ALL.values(), ids=ALL)
def test_distances_are_those_by_the_inverse_of_the_matrix(covariance, tau):
    offsets = np.random.default_rng(2).normal(size=(20, SIZE)).astype(np.float32)
    inverse = np.linalg.inv(tau * covariance.matrix() + 1e-12 * np.eye(SIZE))
    expected = np.einsum("nd,de,ne->n", offsets, inverse, offsets, dtype=np.float64)
    np.testing.assert_allclose(covariance.squared_distances(offsets, tau), expected, rtol=1e-3)


@pytest.mark.parametrize("tau", [1.0, 0.1])
@pytest.mark.parametrize("covariance", ALL.values(), ids=ALL)
def test_what_is_reached_is_what_is_near_enough(covariance, tau):
    offsets = np.random.default_rng(6).normal(size=(50, SIZE)) * np.geomspace(1e-7, 3.0, 50)[:, None]
    distances = covariance.squared_distances(offsets, tau)
    for least in (0.0, float(np.median(distances)), 1e9):
        np.testing.assert_array_equal(covariance.reaches(offsets, least, tau), distances <= least)


@pytest.mark.parametrize("covariance", [LOW_RANK["singular"], FullCovariance(LOW_RANK["singular"].matrix())])
def test_without_noise_what_lies_along_the_axes_is_near_and_nothing_else(covariance):
    samples = covariance.sample(1.0, 2000, np.random.default_rng(3))
    # A chi-squared distribution with as many degrees of freedom as axes.
    assert covariance.squared_distances(samples).mean() == pytest.approx(12.0, rel=0.1)
    aside = samples + 0.01 * np.linalg.eigh(covariance.matrix())[1][:, 0]
    assert covariance.squared_distances(aside).min() > 1e6


def test_a_covariance_along_a_basis_is_that_inside_it_and_equal_variances_outside():
    basis = np.linalg.qr(np.random.default_rng(4).normal(size=(SIZE, 5)))[0]
    factors = np.random.default_rng(5).normal(size=(5, 5))
    inside = factors @ factors.T + np.eye(5)
    covariance = LowRankCovariance.along(basis, inside, 0.5)
    expected = basis @ inside @ basis.T + 0.5 * (np.eye(SIZE) - basis @ basis.T)
    np.testing.assert_allclose(covariance.matrix(), expected, atol=1e-5)
    lengths = np.linalg.norm(covariance.axes, axis=0)
    assert (np.diff(lengths) < 0).all()


def test_axes_that_add_next_to_nothing_are_left_out():
    basis = np.eye(SIZE)[:, :4]
    covariance = LowRankCovariance.along(basis, np.diag([4.0, 1.0, 1e-7, 0.2]), 0.0)
    np.testing.assert_allclose(np.linalg.norm(covariance.axes, axis=0), [2.0, 1.0, np.sqrt(0.2)], rtol=1e-6)
    # Variances inside below those outside count as these, and rounding outside is none.
    flat = LowRankCovariance.along(basis, np.diag([4.0, 1.0, 0.1, 0.2]), 0.5)
    np.testing.assert_allclose(np.diag(flat.matrix())[:5], [4.0, 1.0, 0.5, 0.5, 0.5], rtol=1e-6)
    assert not LowRankCovariance.along(basis, np.eye(4), 1e-15).noise.any()


@pytest.mark.parametrize(("size", "kind"), [(64, FullCovariance), (65, LowRankCovariance)])
def test_only_small_codes_have_a_matrix(size, kind):
    covariance = diagonal(np.linspace(0.0, 1.0, size))
    assert isinstance(covariance, kind)
    np.testing.assert_allclose(covariance.matrix(), np.diag(np.linspace(0.0, 1.0, size) ** 2), atol=1e-7)
