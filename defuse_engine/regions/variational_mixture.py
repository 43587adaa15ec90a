"""Variational inference of a Gaussian mixture with a Dirichlet-process prior, in torch.

The updates of Bishop, *Pattern Recognition and Machine Learning* (2006), section 10.2, for the Gaussians
(equations 10.46, 10.60 to 10.65 and 10.70), and of Blei and Jordan, *Variational inference for Dirichlet
process mixtures* (2006), section 3, for the stick-breaking weights. Priors, the order of the steps and the
terms of the lower bound are those of scikit-learn's BayesianGaussianMixture, so that both can be compared.

A Gaussian's log density is linear in the features (x_i x_j for i <= j, x_i, 1) of a code. So the E-step is
one product (codes, features) @ (features, components), and the M-step's moments are the product of the
responsibilities with the same features. Rows go through in blocks: memory holds no (codes, components)
matrix.

Everything is float64: convergence is a change of the bound below 1e-3, of a bound that grows with the
number of codes. Squares lose no digits that matter, because codes are centred, and because prior and
regularisation keep each covariance above a share of the variance of all codes. Sums are taken in the same
order every time: the same input, device and thread count give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

_BLOCK_VALUES = 1 << 17
"""Numbers in a block of features: a block, its scores and the components' moments stay in the cache."""
_KEPT_VALUES = 1 << 25
"""Features up to this many numbers (256 MiB) are computed once, more of them in each iteration."""
_LEAST_LOG = -600.0
"""Log responsibilities below this count as this: subnormal numbers would slow each product down."""
_LEAST_COUNT = 10 * torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Prior:
    """The prior: one mean (the origin, because codes are centred), one covariance, few components."""

    covariance: Float64[Tensor, "d d"]
    concentration: float
    """Second parameter of each stick's Beta prior; the first is 1."""
    regularisation: float
    """Added to each variance of a component's codes."""


@dataclass(frozen=True)
class Posterior:
    """The variational posterior: Beta sticks, Gauss-Wishart components."""

    stick_a: Float64[Tensor, " k"]
    stick_b: Float64[Tensor, " k"]
    mean_precision: Float64[Tensor, " k"]
    degrees_of_freedom: Float64[Tensor, " k"]
    means: Float64[Tensor, "k d"]
    covariances: Float64[Tensor, "k d d"]
    """Inverse of the expected precision."""
    precisions: Float64[Tensor, "k d d"]
    log_scale: Float64[Tensor, " k"]
    """Half the logarithm of the determinant of the precision."""

    def weights(self) -> Float64[Tensor, " k"]:
        """Return the expected stick-breaking weights, scaled to sum to one."""
        total = self.stick_a + self.stick_b
        left = torch.cumprod(self.stick_b / total, 0)
        weights = self.stick_a / total * torch.cat([left.new_ones(1), left[:-1]])
        return weights / weights.sum()


class Features:
    """The features of all codes, in blocks of rows; f = d (d + 1) / 2 + d + 1."""

    def __init__(self, codes: Float64[Tensor, "n d"]):
        size = codes.shape[1]
        self._codes = codes
        self._first, self._second = torch.triu_indices(size, size, device=codes.device).unbind()
        self.count = len(self._first) + size + 1
        rows = max(64, _BLOCK_VALUES // self.count) if codes.device.type == "cpu" else 8192
        self._bounds = [(start, start + rows) for start in range(0, len(codes), rows)]
        self._kept: list[Tensor] | None = None
        if len(codes) * self.count <= _KEPT_VALUES:
            self._kept = [self._block(start, stop) for start, stop in self._bounds]

    def __iter__(self) -> Iterator[Tensor]:
        if self._kept is not None:
            return iter(self._kept)
        return (self._block(start, stop) for start, stop in self._bounds)

    def _block(self, start: int, stop: int) -> Tensor:
        rows = self._codes[start:stop]
        squares = rows[:, self._first] * rows[:, self._second]
        return torch.cat([squares, rows, rows.new_ones(len(rows), 1)], 1)


def moments_of_groups(features: Features, groups: Int64[Tensor, " n"], count: int) -> Float64[Tensor, "k f"]:
    """Return the sums of the features over the rows of each of `count` groups."""
    moments: Tensor | None = None
    start = 0
    for block in features:
        members = torch.nn.functional.one_hot(groups[start : start + len(block)], count).to(block.dtype)
        start += len(block)
        part = members.T @ block
        moments = part if moments is None else moments + part
    assert moments is not None  # noqa: S101 - a mixture has two codes or more
    return moments


def maximise(moments: Float64[Tensor, "k f"], prior: Prior) -> Posterior:
    """The M-step: return the posterior of sticks and components, given the moments of their codes."""
    size = len(prior.covariance)
    first, second = torch.triu_indices(size, size, device=moments.device).unbind()
    counts = moments[:, -1] + _LEAST_COUNT
    centres = moments[:, -1 - size : -1] / counts[:, None]
    squares = moments.new_empty(len(moments), size, size)
    squares[:, first, second] = squares[:, second, first] = moments[:, : len(first)]
    mean_precision = 1.0 + counts
    spread = squares - (counts**2 / mean_precision)[:, None, None] * centres[:, :, None] * centres[:, None, :]
    spread.diagonal(dim1=1, dim2=2).add_((counts * prior.regularisation)[:, None])
    degrees_of_freedom = size + counts
    covariances = (prior.covariance + spread) / degrees_of_freedom[:, None, None]
    factors = _factors(covariances, prior.regularisation)
    after = counts.flip(0).cumsum(0).flip(0) - counts
    after[-1] = 0.0
    return Posterior(
        stick_a=1.0 + counts,
        stick_b=prior.concentration + after,
        mean_precision=mean_precision,
        degrees_of_freedom=degrees_of_freedom,
        means=(counts / mean_precision)[:, None] * centres,
        covariances=covariances,
        precisions=torch.cholesky_inverse(factors),
        log_scale=-factors.diagonal(dim1=1, dim2=2).log().sum(1),
    )


def _factors(covariances: Float64[Tensor, "k d d"], regularisation: float) -> Float64[Tensor, "k d d"]:
    factors, failed = torch.linalg.cholesky_ex(covariances)
    if not bool(failed.any()):
        return factors
    # A component without codes has the prior's covariance, which is singular where codes are fewer than
    # dimensions or a dimension is unused.
    covariances.diagonal(dim1=1, dim2=2).add_((failed > 0).to(covariances.dtype)[:, None] * regularisation)
    return torch.linalg.cholesky(covariances)


def scores(posterior: Posterior) -> Float64[Tensor, "f k"]:
    """Return what makes a code's features its log responsibilities, by a product and up to a constant."""
    size = posterior.means.shape[1]
    first, second = torch.triu_indices(size, size, device=posterior.means.device).unbind()
    twice = torch.where(first == second, 0.5, 1.0)
    linear = (posterior.precisions @ posterior.means[:, :, None])[:, :, 0]
    constant = (
        _log_sticks(posterior)
        - 0.5 * (linear * posterior.means).sum(1)
        + posterior.log_scale
        + 0.5
        * (_log_wishart_scale(posterior) - size * math.log(2 * math.pi) - size / posterior.mean_precision)
    )
    return torch.cat([-posterior.precisions[:, first, second] * twice, linear, constant[:, None]], 1).T


def _log_sticks(posterior: Posterior) -> Tensor:
    """Return the expected logarithm of the weights (Blei and Jordan, section 3)."""
    total = torch.digamma(posterior.stick_a + posterior.stick_b)
    left = (torch.digamma(posterior.stick_b) - total).cumsum(0)
    return torch.digamma(posterior.stick_a) - total + torch.cat([left.new_zeros(1), left[:-1]])


def _log_wishart_scale(posterior: Posterior) -> Tensor:
    """Return the expected log determinant of a precision less that of the expected precision (10.65)."""
    size, freedom = posterior.means.shape[1], posterior.degrees_of_freedom
    steps = torch.arange(size, dtype=freedom.dtype, device=freedom.device)
    digammas = torch.digamma(0.5 * (freedom[:, None] - steps)).sum(1)
    return size * math.log(2.0) + digammas - size * freedom.log()


@dataclass(frozen=True)
class Expectation:
    """The responsibilities, as the M-step and the lower bound need them."""

    moments: Float64[Tensor, "k f"]
    entropy: float


def expect(features: Features, posterior: Posterior) -> Expectation:
    """The E-step: return sums over codes of responsibility times features, and their entropy."""
    coefficients = scores(posterior)
    moments = torch.zeros_like(coefficients.T, memory_format=torch.contiguous_format)
    evidence = moments.new_zeros(())
    for block in features:
        shares = block @ coefficients
        peaks = shares.amax(1, keepdim=True)
        shares.sub_(peaks).clamp_(min=_LEAST_LOG).exp_()
        totals = shares.sum(1, keepdim=True)
        shares.div_(totals)
        evidence += totals.log_().add_(peaks).sum()
        moments.addmm_(shares.T, block)
    # The sum of r log r, where log r is the score less the evidence.
    return Expectation(moments, float(evidence - (moments * coefficients.T).sum()))


def lower_bound(posterior: Posterior, entropy: float) -> float:
    """Return the bound on the log evidence (10.70), without terms that no step changes."""
    size, freedom = posterior.means.shape[1], posterior.degrees_of_freedom
    steps = torch.arange(size, dtype=freedom.dtype, device=freedom.device)
    log_determinant = posterior.log_scale - 0.5 * size * freedom.log()
    wishart = -(
        freedom * log_determinant
        + freedom * (0.5 * size * math.log(2.0))
        + torch.lgamma(0.5 * (freedom[:, None] - steps)).sum(1)
    )
    a, b = posterior.stick_a, posterior.stick_b
    sticks = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    return entropy - float((wishart - sticks + 0.5 * size * posterior.mean_precision.log()).sum())


def likeliest(features: Features, posterior: Posterior) -> Int64[Tensor, " n"]:
    """Return the component with the largest responsibility for each code."""
    coefficients = scores(posterior)
    return torch.cat([(block @ coefficients).argmax(1) for block in features])
