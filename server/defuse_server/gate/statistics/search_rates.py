"""The misclassifications of two searches from the same seeds.

Misclassifications of one seed come together: where one candidate is wrong, its neighbours are, too. So what
an interval counts is seeds. Its effective number of misclassifications is their number over the design effect
(L. Kish, Survey Sampling, 1965), estimated from the differences between seeds; its quantiles are Student's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from scipy import special

from defuse_server.gate.statistics.interval import Interval
from defuse_server.gate.statistics.shares import wilson

FEW_SEEDS: Final = 10
"""With fewer seeds a variance between them says little; then each seed's misclassifications count as one."""


@dataclass(frozen=True)
class Search:
    """What one classifier's search gave; the sequences hold the seeds where either search found something."""

    candidates: int
    seed_candidates: Sequence[int]
    seed_found: Sequence[int]

    @property
    def found(self) -> int:
        """Misclassifications of all seeds."""
        return sum(self.seed_found)

    @property
    def hit_seeds(self) -> int:
        """Seeds with a misclassification."""
        return sum(found > 0 for found in self.seed_found)


def ratio_interval(before: Search, after: Search, error: float) -> Interval:
    """Interval of the candidate's misclassifications per candidate over the baseline's.

    Of all misclassifications of both searches, the share that is the candidate's has Wilson's interval; the
    ratio is that share over the rest, by the candidates tried. Needs two seeds with a misclassification; it
    is infinite where the baseline has none.
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
    """Interval of the candidate's misclassifications per candidate; `seeds` counts those without any, too."""
    rate = after.found / after.candidates
    clusters = _Clusters.of(before, after)
    if clusters.count < 2:
        # Nothing tells how they come together: at worst all of a seed's candidates do.
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
    """Sum over the seeds of their squared number of misclassifications."""

    @classmethod
    def of(cls, before: Search, after: Search) -> Self:
        sizes = [x + y for x, y in zip(before.seed_found, after.seed_found, strict=True)]
        return cls(len(sizes), sum(sizes), sum(size * size for size in sizes))

    def quantile(self, error: float) -> float:
        """Student's; a few seeds with most of the misclassifications count as few."""
        effective = self.found * self.found / self.squares
        return float(special.stdtrit(max(effective - 1, 1.0), 1 - error / 2))

    def design_effect(
        self, residuals: Sequence[float], spread: float, quantile: float, *, few: bool
    ) -> float:
        """Variance between seeds over that of independent misclassifications, which is `spread`."""
        together = self.squares / self.found
        estimated = 0.0
        if spread > 0:
            estimated = self.count / (self.count - 1) * sum(r * r for r in residuals) / spread
        if few:
            estimated = max(estimated, together)
        # As if quantile^2 seeds more had gone either way (A. Agresti and B. A. Coull, 1998): two searches
        # that agree on every seed are not certain to agree on the next.
        return estimated + quantile**2 * together / self.count


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else float("inf")
