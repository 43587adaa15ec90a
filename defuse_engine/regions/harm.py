"""Expected harm of a region: the probability that an input falls there and is misclassified."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32, Int64

from defuse_engine.inputs.dataset import Split
from defuse_engine.intervals import Z_95
from defuse_engine.models.onnx_model import Encoder
from defuse_engine.regions.grouping import Region
from defuse_engine.regions.nearest_codes import NearestCodes
from defuse_engine.types import Interval

_MOST_ITEMS = 20_000
_NEAREST = 512
"""Items that a region's mass is summed over: farther ones add next to nothing."""
_BANDWIDTH = 0.15
"""Stands for sigma, over the standard deviation of mu, if the encoder gives mu alone."""


@dataclass(frozen=True)
class AggregatePosterior:
    """The distribution of inputs like the dataset's: the mean of N(mu_i, sigma_i^2) over its items i.

    A. Makhzani et al., Adversarial autoencoders, 2015. Unlike the prior, it knows where the data lies.
    """

    active: Int64[np.ndarray, " a"]
    """Indices of the coordinates that carry information: mu varies more than sigma blurs it. In the others, a
    code's place makes no difference to its image."""
    mu: Float32[np.ndarray, "n a"]
    """In these coordinates, as is sigma."""
    sigma: Float32[np.ndarray, "n a"]

    @cached_property
    def nearest(self) -> NearestCodes:
        """The items by their mu."""
        return NearestCodes(self.mu)


def aggregate_posterior(encoder: Encoder, split: Split, rng: np.random.Generator) -> AggregatePosterior:
    """Encode a split, or 20,000 of its items."""
    sample = np.sort(rng.permutation(len(split))[:_MOST_ITEMS])
    mus: list[np.ndarray] = []
    sigmas: list[np.ndarray] = []
    for _, images in split.batches(sample, encoder.session.chunk_size):
        mu, sigma = encoder.posterior(images)
        mus.append(mu)
        sigmas.append(np.full_like(mu, np.nan) if sigma is None else sigma)
    mu, sigma = np.concatenate(mus), np.concatenate(sigmas)
    spread = mu.std(axis=0, dtype=np.float64).astype(np.float32)
    sigma = np.where(np.isnan(sigma), _BANDWIDTH * spread, sigma).astype(np.float32)
    active = np.flatnonzero(spread**2 > (sigma**2).mean(axis=0))
    active = active if len(active) else np.arange(mu.shape[1])
    return AggregatePosterior(active, mu[:, active], sigma[:, active])


def expected_harm(region: Region, wrong: Interval, production: AggregatePosterior, device: str) -> Interval:
    """Return the share of inputs that fall into the region and are misclassified, with a 95% interval.

    A code z belongs to the region by b(z) = exp(-(z - mean)' S^-1 (z - mean) / 2), S its covariance. Its mass
    is the mean of b under the aggregate posterior, for item i in closed form
    sqrt(|S| / |S + sigma_i^2|) exp(-(mu_i - mean)' (S + sigma_i^2)^-1 (mu_i - mean) / 2), with a normal
    interval over items. Mass and `wrong` (the share of samples misclassified) are multiplied, bound by bound,
    so the interval covers at least 95%.
    """
    active = production.active
    mean = region.mean[active]
    near, _ = production.nearest.to(mean, _NEAREST)
    covariance = torch.from_numpy(region.covariance[np.ix_(active, active)]).to(device)
    variances = torch.from_numpy(production.sigma[near]).to(device).double() ** 2
    offsets = torch.from_numpy(production.mu[near] - mean).to(device).double()
    summed = covariance + torch.diag_embed(variances)
    factor, failed = torch.linalg.cholesky_ex(summed)
    white = torch.linalg.solve_triangular(factor, offsets[:, :, None], upper=False)[:, :, 0]
    log_determinants = 2.0 * factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    exponent = 0.5 * (torch.linalg.slogdet(covariance).logabsdet - log_determinants) - 0.5 * (white**2).sum(1)
    belongs = torch.where(failed == 0, exponent.exp(), 0.0).cpu().numpy()
    items = len(production.mu)
    mass = float(belongs.sum()) / items
    error = Z_95 * math.sqrt(max(0.0, float((belongs**2).sum()) / items - mass**2) / items)
    return Interval(
        value=mass * wrong.value,
        lower=max(0.0, mass - error) * wrong.lower,
        upper=min(1.0, mass + error) * wrong.upper,
        samples=items,
    )
