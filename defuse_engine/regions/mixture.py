"""Gaussian mixtures with a Dirichlet-process prior over misclassified codes (the paper's section 3.2)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture
from threadpoolctl import threadpool_limits

from defuse_engine.types import Codes

_MAX_ITERATIONS = 200
_ITERATIONS_BETWEEN_REPORTS = 10
_RELATIVE_REGULARISATION = 1e-3
"""Added to each variance, over the mean variance of the codes: latent spaces differ in scale."""


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture of k components; `assignment[i]` is the likeliest component of code i."""

    weights: Float64[np.ndarray, " k"]
    means: Float64[np.ndarray, "k d"]
    covariances: Float64[np.ndarray, "k d d"]
    assignment: Int64[np.ndarray, " n"]
    converged: bool


def fit_mixture(
    codes: Codes,
    max_components: int,
    max_fitted: int,
    random_state: int,
    on_iterations: Callable[[int, int], None] = lambda done, total: None,
) -> Mixture:
    """Fits full covariances by variational inference (scikit-learn), truncated at `max_components`.

    At most `max_fitted` codes, chosen at random, shape the mixture; all are assigned. It needs two or more.
    `on_iterations(done, total)` is called as the fit goes on.
    """
    points = codes.astype(np.float64)
    fitted = points
    if len(points) > max_fitted:
        chosen = np.random.default_rng(random_state).choice(len(points), max_fitted, replace=False)
        fitted = points[np.sort(chosen)]
    model = BayesianGaussianMixture(
        n_components=min(max_components, len(fitted)),
        covariance_type="full",
        weight_concentration_prior_type="dirichlet_process",
        reg_covar=_RELATIVE_REGULARISATION * max(float(fitted.var(axis=0).mean()), 1e-12),
        max_iter=_ITERATIONS_BETWEEN_REPORTS,
        warm_start=True,
        random_state=random_state,
    )
    # The matrices are small: a second BLAS thread costs more than it does, and the sums would depend on it.
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        # Not converged is a field of the result.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for done in range(0, _MAX_ITERATIONS, _ITERATIONS_BETWEEN_REPORTS):
            on_iterations(done, _MAX_ITERATIONS)
            model.fit(fitted)
            if model.converged_:
                break
    return Mixture(
        weights=model.weights_,
        means=model.means_,
        covariances=model.covariances_,
        assignment=np.asarray(model.predict(points), np.int64),
        converged=bool(model.converged_),
    )
