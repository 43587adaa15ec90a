"""The mixture in torch is scikit-learn's: same start, same updates, same bound, same partition."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture

from defuse_engine.regions import variational_mixture
from defuse_engine.regions.mixture import fit_mixture


def matrices(mixture) -> np.ndarray:
    return np.stack([covariance.matrix() for covariance in mixture.covariances])


def separated(count=300, size=4):
    rng = np.random.default_rng(0)
    centres = 8 * np.eye(size)[:3]
    return (np.repeat(centres, count // 3, axis=0) + rng.normal(0, 0.5, (count, size))).astype(np.float32)


def overlapping(count=900, size=8, shift=0.0):
    rng = np.random.default_rng(3)
    centres = rng.normal(0, 1.0, (12, size))
    cluster = rng.choice(12, count, p=rng.dirichlet(np.ones(12)))
    return (shift + centres[cluster] + 0.5 * rng.standard_t(5, (count, size))).astype(np.float32)


def reference(codes, components, random_state=0):
    points = codes.astype(np.float64)
    model = BayesianGaussianMixture(
        n_components=components,
        covariance_type="full",
        weight_concentration_prior_type="dirichlet_process",
        reg_covar=1e-3 * points.var(axis=0).mean(),
        max_iter=200,
        random_state=random_state,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    return model, model.predict(points)


@pytest.mark.parametrize(
    ("codes", "components"),
    [
        (separated(), 6),
        (overlapping(), 40),
        (overlapping(shift=100.0), 10),
        (overlapping(count=20), 2),
        (overlapping(count=400, size=1), 5),
    ],
    ids=["separated", "overlapping", "far from the origin", "few codes", "one dimension"],
)
def test_it_reaches_the_bound_and_the_partition_of_scikit_learn(codes, components):
    mixture = fit_mixture(codes, components, 10_000, 0)
    model, partition = reference(codes, components)
    assert mixture.iterations == model.n_iter_
    assert mixture.converged == model.converged_
    assert mixture.lower_bound == pytest.approx(model.lower_bound_, rel=1e-8)
    assert adjusted_rand_score(partition, mixture.assignment) == 1.0
    assert mixture.weights == pytest.approx(model.weights_, abs=1e-8)
    assert mixture.means == pytest.approx(model.means_, abs=1e-6)
    assert matrices(mixture) == pytest.approx(model.covariances_, abs=1e-6)


def test_components_that_die_are_counted_out_as_by_scikit_learn():
    # All but a few of the components lose their codes on the way.
    codes = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
    mixture = fit_mixture(codes, 30, 10_000, 0)
    model, partition = reference(codes, 30)
    assert (mixture.weights < 1e-3).sum() >= 10
    assert mixture.lower_bound == pytest.approx(model.lower_bound_, rel=1e-6)
    assert adjusted_rand_score(partition, mixture.assignment) == 1.0


def test_the_bound_rises_with_each_iteration():
    codes = torch.from_numpy(overlapping(count=300).astype(np.float64))
    codes = codes - codes.mean(0)
    prior = variational_mixture.Prior(torch.cov(codes.T), 0.1, 1e-9)
    features = variational_mixture.Features(codes)
    posterior = variational_mixture.maximise(
        variational_mixture.moments_of_groups(features, torch.arange(300) % 10, 10), prior
    )
    bounds = []
    for _ in range(40):
        expectation = variational_mixture.expect(features, posterior)
        posterior = variational_mixture.maximise(expectation.moments, prior)
        bounds.append(variational_mixture.lower_bound(posterior, expectation.entropy))
    assert np.diff(bounds).min() > -1e-6
    assert bounds[-1] > bounds[0] + 1


def test_blocks_of_rows_change_nothing(monkeypatch):
    codes = overlapping()
    whole = fit_mixture(codes, 10, 10_000, 0)
    monkeypatch.setattr(variational_mixture, "_BLOCK_VALUES", 1)
    monkeypatch.setattr(variational_mixture, "_KEPT_VALUES", 0)
    blocks = fit_mixture(codes, 10, 10_000, 0)
    assert blocks.lower_bound == pytest.approx(whole.lower_bound, rel=1e-10)
    assert np.array_equal(blocks.assignment, whole.assignment)


def test_the_result_does_not_depend_on_the_number_of_threads():
    codes = overlapping()
    before = torch.get_num_threads()
    fits = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            fits.append(fit_mixture(codes, 20, 10_000, 0))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert fits[0].means.tobytes() == fits[1].means.tobytes()
    assert fits[0].lower_bound == fits[1].lower_bound


@pytest.mark.parametrize("spread", [0.0, 1e-4], ids=["identical", "one unused dimension"])
def test_a_covariance_without_full_rank_is_no_obstacle(spread):
    codes = np.ones((40, 5), np.float32)
    codes[:, :4] += spread * np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    mixture = fit_mixture(codes, 8, 100, 0)
    assert np.isfinite(matrices(mixture)).all()
    assert mixture.weights.sum() == pytest.approx(1.0)
    assert mixture.means.min() > 0.99


def test_fewer_codes_than_dimensions_make_a_mixture():
    codes = np.random.default_rng(0).normal(size=(12, 40)).astype(np.float32)
    mixture = fit_mixture(codes, 6, 100, 0)
    assert np.isfinite(matrices(mixture)).all()
    assert len(mixture.assignment) == 12


def test_large_codes_are_taken_apart_along_their_principal_axes():
    rng = np.random.default_rng(0)
    centres = 4.0 * rng.normal(size=(2, 300))
    labels = rng.integers(0, 2, 200)
    codes = (centres[labels] + rng.normal(size=(200, 300))).astype(np.float32)
    mixture = fit_mixture(codes, 2, 1000, 0)
    assert mixture.means.shape == (2, 300)
    assert {one.axes.shape for one in mixture.covariances} <= {(300, axes) for axes in range(1, 65)}
    found = mixture.assignment if mixture.assignment[0] == labels[0] else 1 - mixture.assignment
    assert np.array_equal(found, labels)
    of_first = mixture.means[mixture.assignment[0]]
    np.testing.assert_allclose(of_first, centres[labels[0]], atol=0.6)
    for covariance in matrices(mixture):
        # What the components hold and what is left together are the variance of the codes.
        assert np.linalg.eigvalsh(covariance).min() > -1e-9
        assert 0.5 < np.trace(covariance) / 300 < 1.5


def test_a_few_large_codes_spread_along_what_they_span_alone():
    codes = np.random.default_rng(0).normal(size=(5, 100)).astype(np.float32)
    (covariance,) = fit_mixture(codes, 1, 1000, 0).covariances
    assert covariance.axes.shape == (100, 4)
    assert not covariance.noise.any()


def test_codes_that_are_not_finite_are_named():
    codes = overlapping(count=20)
    codes[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"1 of 20 with NaN or infinity, the first in row 7"):
        fit_mixture(codes, 2, 100, 0)


def test_one_code_is_no_mixture():
    with pytest.raises(ValueError, match="two codes or more, got 1"):
        fit_mixture(np.ones((1, 3), np.float32), 1, 100, 0)


@pytest.mark.gpu
def test_a_gpu_finds_the_same_mixture():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    ours = fit_mixture(overlapping(), 20, 10_000, 0)
    theirs = fit_mixture(overlapping(), 20, 10_000, 0, device="cuda:0")
    assert theirs.lower_bound == pytest.approx(ours.lower_bound, rel=1e-8)
    assert np.array_equal(theirs.assignment, ours.assignment)


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
        assert np.allclose(matrices(mixture)[nearest], 0.25 * np.eye(2), atol=0.2)


def test_many_codes_are_sampled_for_the_fit_and_all_assigned():
    codes = np.random.default_rng(2).normal(size=(500, 2)).astype(np.float32)
    mixture = fit_mixture(codes, 3, 100, 5)
    assert len(mixture.assignment) == 500
    again = fit_mixture(codes, 3, 100, 5)
    assert np.array_equal(mixture.means, again.means)


def test_identical_codes_are_no_obstacle():
    mixture = fit_mixture(np.ones((20, 4), np.float32), 2, 100, 0)
    assert np.isfinite(matrices(mixture)).all()
