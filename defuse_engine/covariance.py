"""Covariances of Gaussians in latent space: a matrix for small codes, low-rank factors for large ones.

A region has a dozen codes, which say something about a dozen directions. The matrix of codes of 512 numbers
takes 2 MB, and audits have thousands of regions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

MOST_AXES = 64
"""Codes of more numbers have low-rank covariances, of so many axes at most."""
_LEAST_VARIANCE = 1e-12
"""Added to all variances where distances are measured: without spread in a direction nothing else is near."""
_NEXT_TO_NOTHING = 1e-6
"""Share of the largest variance. An axis of less moves a code by less than a thousandth of what others do."""


class Covariance(ABC):
    """The covariance of a Gaussian over codes of d numbers."""

    @abstractmethod
    def matrix(self) -> Float64[np.ndarray, "d d"]:
        """Return it in full."""

    @abstractmethod
    def sample(self, tau: float, count: int, generator: np.random.Generator) -> Float64[np.ndarray, "n d"]:
        """Draw `count` offsets from N(0, tau * covariance)."""

    @abstractmethod
    def most_variance(self, tau: float = 1.0) -> float:
        """Return an upper bound of the variance in any direction, of tau times the covariance."""

    def reaches(
        self, offsets: Float[np.ndarray, "n d"], squared_distance: float, tau: float = 1.0
    ) -> Bool[np.ndarray, " n"]:
        """Tell which offsets are no farther than `squared_distance` (see `squared_distances`)."""
        # What is too far even along the widest axis needs no factors of the covariance. That is nearly all.
        widest = self.most_variance(tau)
        held = np.einsum("nd,nd->n", offsets, offsets) <= squared_distance * widest
        if held.any():
            held[held] = self.squared_distances(offsets[held], tau) <= squared_distance
        return held

    @abstractmethod
    def squared_distances(
        self, offsets: Float[np.ndarray, "n d"], tau: float = 1.0
    ) -> Float64[np.ndarray, " n"]:
        """Return squared Mahalanobis distances of offsets from the mean, by tau times the covariance."""


@dataclass(frozen=True)
class FullCovariance(Covariance):
    """A covariance as its matrix."""

    values: Float64[np.ndarray, "d d"]

    def matrix(self) -> Float64[np.ndarray, "d d"]:
        """Return it in full."""
        return self.values

    def sample(self, tau: float, count: int, generator: np.random.Generator) -> Float64[np.ndarray, "n d"]:
        """Draw `count` offsets from N(0, tau * covariance)."""
        # An eigenbasis exists where rounding left the covariance without a Cholesky factor.
        variances, basis = np.linalg.eigh(self.values)
        scale = np.sqrt(np.maximum(variances, 0.0) * tau)
        return (generator.standard_normal((count, len(scale))) * scale) @ basis.T

    def most_variance(self, tau: float = 1.0) -> float:
        """Return an upper bound of the variance in any direction: the trace."""
        return tau * float(np.trace(self.values)) + _LEAST_VARIANCE

    def squared_distances(
        self, offsets: Float[np.ndarray, "n d"], tau: float = 1.0
    ) -> Float64[np.ndarray, " n"]:
        """Return squared Mahalanobis distances of offsets from the mean, by tau times the covariance."""
        variances, basis = np.linalg.eigh(tau * self.values)
        return ((offsets @ basis) ** 2 / (np.maximum(variances, 0.0) + _LEAST_VARIANCE)).sum(axis=1)


@dataclass(frozen=True)
class LowRankCovariance(Covariance):
    """The covariance `axes @ axes.T + diag(noise ** 2)`."""

    axes: Float32[np.ndarray, "d q"]
    """Orthogonal directions, each as long as its standard deviation, the longest first; q is at most 64."""
    noise: Float32[np.ndarray, " d"]
    """Standard deviation in each coordinate, on top of that."""

    @classmethod
    def along(
        cls,
        basis: Float64[np.ndarray, "d q"],
        inside: Float64[np.ndarray, "q q"],
        outside: float,
    ) -> LowRankCovariance:
        """Return the covariance `inside` an orthonormal basis, with the variance `outside` in the rest.

        A variance inside that is smaller counts as `outside`. What adds next to nothing is left out.
        """
        variances, vectors = np.linalg.eigh(inside)
        least = _NEXT_TO_NOTHING * variances[-1]
        outside = outside if outside > least else 0.0
        added = variances[::-1] - outside
        kept = added > least
        axes = basis @ (vectors[:, ::-1][:, kept] * np.sqrt(added[kept]))
        return cls(axes.astype(np.float32), np.full(len(basis), np.sqrt(outside), np.float32))

    def matrix(self) -> Float64[np.ndarray, "d d"]:
        """Return it in full."""
        axes = self.axes.astype(np.float64)
        return axes @ axes.T + np.diag(self.noise.astype(np.float64) ** 2)

    def sample(self, tau: float, count: int, generator: np.random.Generator) -> Float64[np.ndarray, "n d"]:
        """Draw `count` offsets from N(0, tau * covariance)."""
        size, axes = self.axes.shape
        drawn = generator.standard_normal((count, axes)) @ self.axes.T.astype(np.float64)
        if self.noise.any():
            drawn += generator.standard_normal((count, size)) * self.noise
        return np.sqrt(tau) * drawn

    def most_variance(self, tau: float = 1.0) -> float:
        """Return an upper bound of the variance in any direction: of the longest axis and the noise."""
        longest = float(np.square(self.axes, dtype=np.float64).sum(axis=0).max(initial=0.0))
        return tau * (longest + float(self.noise.max()) ** 2) + _LEAST_VARIANCE

    def squared_distances(
        self, offsets: Float[np.ndarray, "n d"], tau: float = 1.0
    ) -> Float64[np.ndarray, " n"]:
        """Return squared Mahalanobis distances of offsets from the mean, by tau times the covariance."""
        # Woodbury's identity in units of the noise. The part along the axes is taken off before squaring:
        # where there is hardly any noise a difference of squares would hold nothing but rounding.
        noise = np.sqrt(tau * self.noise.astype(np.float64) ** 2 + _LEAST_VARIANCE)
        basis, lengths, _ = np.linalg.svd(np.sqrt(tau) * self.axes / noise[:, None], full_matrices=False)
        whole = offsets / noise
        along = whole @ basis
        across = whole - along @ basis.T
        return (along**2 / (1.0 + lengths**2)).sum(axis=1) + (across**2).sum(axis=1)


def diagonal(deviations: Float[np.ndarray, " d"]) -> Covariance:
    """Return the covariance of independent coordinates, given their standard deviations."""
    if len(deviations) > MOST_AXES:
        return LowRankCovariance(np.zeros((len(deviations), 0), np.float32), deviations.astype(np.float32))
    return FullCovariance(np.diag(deviations.astype(np.float64) ** 2))
