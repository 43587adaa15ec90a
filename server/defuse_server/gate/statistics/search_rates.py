"""Compares the misclassification rates of two searches from the same seeds.

Misclassifications of one seed come together: if one candidate is wrong, its neighbours often are, too. So the
intervals count seeds. The effective number of misclassifications is their number over the design effect
(L. Kish, Survey Sampling, 1965), which is estimated from the differences between seeds. The quantiles are
Student's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from scipy import special

from defuse_server.gate.statistics.interval import Interval
from defuse_server.gate.statistics.shares import wilson

FEW_SEEDS: Final = 10
"""With fewer seeds their variance says little. Then each seed's misclassifications count as one."""


@dataclass(frozen=True)
class Search:
    """The result of one classifier's search. The sequences hold the seeds with a find in either search."""

    candidates: int
    seed_candidates: Sequence[int]
    seed_found: Sequence[int]

    @property
    def found(self) -> int:
        """Number of misclassifications of all seeds."""
        return sum(self.seed_found)

    @property
    def hit_seeds(self) -> int:
        """Number of seeds with a misclassification."""
        return sum(found > 0 for found in self.seed_found)


def ratio_interval(before: Search, after: Search, error: float) -> Interval:
    """Return the interval of the candidate's misclassification rate over the baseline's.

    Wilson's interval is that of the candidate's share of all misclassifications in both searches. The ratio
    is that share over the rest, relative to the candidates tried. It needs two seeds with a
    misclassification, and is infinite if the baseline has none.
    """
    clusters = _Clusters.of(before, after)
    quantile = clusters.quantile(error)
    share = after.found / clusters.found
    scale = before.found * after.found / clusters.found
    residuals = [
        y - share * (x + y) - scale * (m / after.candidates - n / before.candidates)
        for x, y, n, m in zip(
            before.seed_found, after.seed_found, before.seed_candidates, after.seed_candidates, strict=True
        )
    ]
    spread = clusters.found * share * (1 - share)
    few = min(before.hit_seeds, after.hit_seeds) < FEW_SEEDS
    effect = clusters.design_effect(residuals, spread, quantile, few=few)
    ends = wilson(share, clusters.found / effect, quantile)
    value, lower, upper = (_odds(end) * before.candidates / after.candidates for end in (share, *ends))
    return Interval(value, lower, upper, clusters.count, error)


def rate_interval(before: Search, after: Search, seeds: int, error: float) -> Interval:
    """Return the interval of the candidate's misclassification rate. `seeds` counts all seeds."""
    rate = after.found / after.candidates
    clusters = _Clusters.of(before, after)
    if clusters.count < 2:
        # The clustering is unknown: at worst all candidates of a seed are wrong together.
        quantile = float(special.stdtrit(max(seeds - 1, 1), 1 - error / 2))
        return Interval(rate, *wilson(rate, seeds, quantile), seeds, error)
    quantile = clusters.quantile(error)
    residuals = [y - rate * m for y, m in zip(after.seed_found, after.seed_candidates, strict=True)]
    spread = after.candidates * rate * (1 - rate)
    effect = clusters.design_effect(residuals, spread, quantile, few=after.hit_seeds < FEW_SEEDS)
    lower, upper = wilson(rate, after.candidates / max(effect, 1.0), quantile)
    return Interval(rate, lower, upper, seeds, error)


@dataclass(frozen=True)
class _Clusters:
    """The seeds with a misclassification in either search."""

    count: int
    found: int
    squares: int
    """Sum of the squared numbers of misclassifications of the seeds."""

    @classmethod
    def of(cls, before: Search, after: Search) -> Self:
        sizes = [x + y for x, y in zip(before.seed_found, after.seed_found, strict=True)]
        return cls(len(sizes), sum(sizes), sum(size * size for size in sizes))

    def quantile(self, error: float) -> float:
        """Return Student's quantile. Few seeds with most misclassifications make a small sample."""
        effective = self.found * self.found / self.squares
        return float(special.stdtrit(max(effective - 1, 1.0), 1 - error / 2))

    def design_effect(
        self, residuals: Sequence[float], spread: float, quantile: float, *, few: bool
    ) -> float:
        """Return the variance between seeds over `spread`, that of independent misclassifications."""
        together = self.squares / self.found
        estimated = 0.0
        if spread > 0:
            estimated = self.count / (self.count - 1) * sum(r * r for r in residuals) / spread
        if few:
            estimated = max(estimated, together)
        # As if quantile^2 more seeds had gone either way (A. Agresti and B. A. Coull, 1998): two searches
        # that agree on every seed may still differ on the next.
        return estimated + quantile**2 * together / self.count


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else float("inf")
