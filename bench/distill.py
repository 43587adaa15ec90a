"""Compares the engine's mixture with scikit-learn's, in time and in result.

Both fit 10,000 overlapping codes of 16 dimensions with at most 100 components. They start from the same
point, stop by the same convergence rule, and assign all codes. They take turns, and the figures are medians.
scikit-learn gets the number of BLAS threads that suits it best on these cores. The engine's mixture takes one
thread on every machine. `ratio` is the engine's time over scikit-learn's, `bound_difference` is relative, and
`partition_agreement` is the adjusted Rand index.
"""

from __future__ import annotations

import os
import statistics
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture
from threadpoolctl import threadpool_limits

from defuse_engine.errors import DeviceUnavailable
from defuse_engine.models.device import open_runtime
from defuse_engine.regions.mixture import Mixture, fit_mixture

CODES, LATENT_SIZE, COMPONENTS = 10_000, 16, 100
ROUNDS = 3
MAX_ITERATIONS = 200
TRIAL_ITERATIONS = 8
"""Iterations of the fits that find the best number of threads for scikit-learn."""


def run(device: str) -> dict[str, object]:
    """Measure, and print both times of each round."""
    cores = len(os.sched_getaffinity(0))
    try:
        runtime = open_runtime(device, cores, 256)
    except DeviceUnavailable as error:
        return {"skipped": error.message}
    codes = overlapping_codes(np.random.default_rng(0))
    threads = min({1, cores}, key=lambda count: _timed(codes, count, TRIAL_ITERATIONS)[0])
    _engine(codes[:1000], runtime.device)  # warms up
    own_s: list[float] = []
    reference_s: list[float] = []
    fits: list[tuple[Mixture, BayesianGaussianMixture]] = []
    for number in range(ROUNDS):
        seconds, mixture = _engine(codes, runtime.device)
        own_s.append(seconds)
        seconds, reference = _timed(codes, threads, MAX_ITERATIONS)
        reference_s.append(seconds)
        fits.append((mixture, reference))
        print(f"round {number}: engine {own_s[-1]:8.2f} s, scikit-learn {seconds:8.2f} s", flush=True)
    mixture, reference = fits[-1]
    own, theirs = statistics.median(own_s), statistics.median(reference_s)
    bound = float(reference.lower_bound_)
    return {
        "device": runtime.device,
        "cores": cores,
        "reference_threads": threads,
        "codes": CODES,
        "latent_size": LATENT_SIZE,
        "components": COMPONENTS,
        "rounds": ROUNDS,
        "iterations": mixture.iterations,
        "reference_iterations": int(reference.n_iter_),
        "seconds": round(own, 3),
        "reference_seconds": round(theirs, 3),
        "ratio": round(own / theirs, 4),
        "bound_difference": abs(mixture.lower_bound - bound) / abs(bound),
        "partition_agreement": float(adjusted_rand_score(reference.predict(codes), mixture.assignment)),
        "components_used": len(np.unique(mixture.assignment)),
    }


def overlapping_codes(rng: np.random.Generator) -> np.ndarray:
    """Draw overlapping clusters of unequal size and spread, with heavy tails: no fit is clear-cut."""
    shares = rng.dirichlet(np.full(40, 0.8))
    cluster = rng.choice(len(shares), CODES, p=shares)
    centres = rng.normal(0, 1.0, (len(shares), LATENT_SIZE))
    spreads = rng.normal(0, 0.5 / np.sqrt(LATENT_SIZE), (len(shares), LATENT_SIZE, LATENT_SIZE))
    steps = rng.standard_t(6, (CODES, LATENT_SIZE))
    return (centres[cluster] + np.einsum("nd,nde->ne", steps, spreads[cluster])).astype(np.float32)


def _engine(codes: np.ndarray, device: str) -> tuple[float, Mixture]:
    started_s = time.perf_counter()
    mixture = fit_mixture(codes, COMPONENTS, CODES, 0, device=device)
    return time.perf_counter() - started_s, mixture


def _timed(codes: np.ndarray, threads: int, iterations: int) -> tuple[float, BayesianGaussianMixture]:
    points = codes.astype(np.float64)
    started_s = time.perf_counter()
    model = BayesianGaussianMixture(
        n_components=COMPONENTS,
        covariance_type="full",
        weight_concentration_prior_type="dirichlet_process",
        reg_covar=1e-3 * float(points.var(axis=0).mean()),
        max_iter=iterations,
        random_state=0,
    )
    with warnings.catch_warnings(), threadpool_limits(threads, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
        model.predict(points)
    return time.perf_counter() - started_s, model
