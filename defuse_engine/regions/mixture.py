"""Gaussian mixtures with a Dirichlet-process prior over misclassified codes (the paper's section 3.2).

The model is scikit-learn's BayesianGaussianMixture with its default priors, full covariances and k-means as
the start. The updates are our own in torch (`variational_mixture.py`), on the device of the search.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from defuse_engine.covariance import MOST_AXES, Covariance, FullCovariance, LowRankCovariance
from defuse_engine.regions.variational_mixture import (
    Features,
    Posterior,
    Prior,
    expect,
    likeliest,
    lower_bound,
    maximise,
    moments_of_groups,
)
from defuse_engine.types import Codes

_MAX_ITERATIONS = 200
_ITERATIONS_BETWEEN_REPORTS = 10
_TOLERANCE = 1e-3
"""The fit has converged if an iteration changes the lower bound by less."""
_RELATIVE_REGULARISATION = 1e-3
"""Added to each variance, over the mean variance of the codes: latent spaces differ in scale."""


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture of k components; `assignment[i]` is the likeliest component of code i."""

    weights: Float64[np.ndarray, " k"]
    means: Float64[np.ndarray, "k d"]
    covariances: tuple[Covariance, ...]
    assignment: Int64[np.ndarray, " n"]
    converged: bool
    iterations: int
    lower_bound: float
    """On the logarithm of the evidence, without constant terms; it grows with the number of codes."""


def fit_mixture(
    codes: Codes,
    max_components: int,
    max_fitted: int,
    random_state: int,
    on_iterations: Callable[[int, int], None] = lambda done, total: None,
    device: str = "cpu",
) -> Mixture:
    """Fit full covariances by variational inference, truncated at `max_components`.

    At most `max_fitted` codes, chosen at random, shape the mixture; all are assigned. Raises `ValueError` if
    there are fewer than two codes, or some are not finite. Identical codes make one component of nearly no
    extent. `on_iterations(done, total)` reports progress. `device` is `cpu` or `cuda:N`. On the CPU the fit
    takes one thread: its result must not depend on the number of cores.

    Codes of more than 64 numbers are fitted along the principal axes of those that shape the mixture, 64 at
    most. All components share their mean variance along the other axes. Their covariances are low-rank.
    """
    _check(codes)
    if codes.shape[1] > MOST_AXES:
        axes = _principal_axes(codes, max_fitted, random_state)
        return axes.back(
            fit_mixture(axes.along(codes), max_components, max_fitted, random_state, on_iterations, device)
        )
    points = codes.astype(np.float64)
    fitted = points
    if len(points) > max_fitted:
        chosen = np.random.default_rng(random_state).choice(len(points), max_fitted, replace=False)
        fitted = points[np.sort(chosen)]
    centre = fitted.mean(axis=0)
    components = min(max_components, len(fitted))
    prior = Prior(
        covariance=torch.from_numpy(np.atleast_2d(np.cov(fitted.T))).to(device),
        concentration=1.0 / components,
        regularisation=_RELATIVE_REGULARISATION * max(float(fitted.var(axis=0).mean()), 1e-12),
    )
    with _one_thread():
        groups = torch.from_numpy(_groups(fitted, components, random_state)).to(device)
        features = Features(torch.from_numpy(fitted - centre).to(device))
        start = maximise(moments_of_groups(features, groups, components), prior)
        fit = _iterate(features, start, prior, on_iterations)
        everything = features if fitted is points else Features(torch.from_numpy(points - centre).to(device))
        assignment = likeliest(everything, fit.posterior)
    return Mixture(
        weights=fit.posterior.weights().cpu().numpy(),
        means=fit.posterior.means.cpu().numpy() + centre,
        covariances=tuple(map(FullCovariance, fit.posterior.covariances.cpu().numpy())),
        assignment=assignment.cpu().numpy(),
        converged=fit.converged,
        iterations=fit.iterations,
        lower_bound=fit.lower_bound,
    )


@dataclass(frozen=True)
class _Axes:
    """Principal axes of codes: what lies along them, and what is left."""

    centre: Float64[np.ndarray, " d"]
    basis: Float64[np.ndarray, "d q"]
    left_variance: float
    """Mean over the other axes, which is their variance in every component."""

    def along(self, codes: Codes) -> Float32[np.ndarray, "n q"]:
        """Return coordinates (n, q)."""
        return ((codes - self.centre) @ self.basis).astype(np.float32)

    def back(self, mixture: Mixture) -> Mixture:
        """Return a mixture of coordinates as one of codes."""
        with threadpool_limits(1):
            return replace(
                mixture,
                means=self.centre + mixture.means @ self.basis.T,
                covariances=tuple(
                    LowRankCovariance.along(self.basis, inside.matrix(), self.left_variance)
                    for inside in mixture.covariances
                ),
            )


def _principal_axes(codes: Codes, most: int, random_state: int) -> _Axes:
    """Return as many axes as codes can span, 64 at most, by a singular value decomposition of a sample."""
    some = codes.astype(np.float64)
    if len(some) > most:
        some = some[np.sort(np.random.default_rng(random_state).choice(len(some), most, replace=False))]
    centre = some.mean(axis=0)
    with threadpool_limits(1):
        variances, vectors = np.linalg.eigh(np.cov((some - centre).T))
    count = min(MOST_AXES, max(1, len(some) - 1))
    size = codes.shape[1]
    left = float(np.maximum(variances[: size - count], 0.0).sum()) / (size - count)
    return _Axes(centre, vectors[:, size - count :][:, ::-1], left)


def _check(codes: Codes) -> None:
    if len(codes) < 2:
        raise ValueError(f"a mixture needs two codes or more, got {len(codes)}: search more seeds")
    bad = np.flatnonzero(~np.isfinite(codes).all(axis=1))
    if len(bad):
        raise ValueError(
            f"codes must be finite, got {len(bad)} of {len(codes)} with NaN or infinity, "
            f"the first in row {bad[0]}: leave them out"
        )


@contextmanager
def _one_thread() -> Generator[None]:
    """Hold k-means, BLAS and torch to one thread: the order of sums must not depend on the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _groups(points: Float64[np.ndarray, "n d"], count: int, random_state: int) -> Int64[np.ndarray, " n"]:
    with warnings.catch_warnings():
        # With fewer distinct codes than components some stay empty, which the prior allows for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = KMeans(count, n_init=1, random_state=random_state)  # pyright: ignore[reportArgumentType]
        labels = means.fit(points).labels_
    return np.asarray(labels, np.int64)


@dataclass(frozen=True)
class _Fit:
    posterior: Posterior
    converged: bool
    iterations: int
    lower_bound: float


def _iterate(
    features: Features, posterior: Posterior, prior: Prior, on_iterations: Callable[[int, int], None]
) -> _Fit:
    bound = -np.inf
    for done in range(_MAX_ITERATIONS):
        if done % _ITERATIONS_BETWEEN_REPORTS == 0:
            on_iterations(done, _MAX_ITERATIONS)
        expectation = expect(features, posterior)
        posterior = maximise(expectation.moments, prior)
        before, bound = bound, lower_bound(posterior, expectation.entropy)
        if abs(bound - before) < _TOLERANCE:
            return _Fit(posterior, True, done + 1, bound)
    return _Fit(posterior, False, _MAX_ITERATIONS, bound)
