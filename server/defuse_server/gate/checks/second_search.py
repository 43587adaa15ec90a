"""Checks of a fresh search: misclassifications per candidate, alone and relative to the baseline."""

import math
from dataclasses import dataclass

from defuse.v1.promotion_service_pb2 import Evaluation

from defuse_server.gate.checks.data_needed import rounded_up
from defuse_server.gate.checks.estimate import Estimate
from defuse_server.gate.policy import bounds
from defuse_server.gate.policy.contradictions import LEAST_SEEDS
from defuse_server.gate.statistics.interval import Interval
from defuse_server.gate.statistics.search_rates import Search, rate_interval, ratio_interval


def search_family(evaluation: Evaluation, bound: bounds.SecondSearch | None) -> list[Estimate]:
    """Return the ratio and the rate, each if the policy bounds it."""
    if bound is None:
        return []
    found, seeds = evaluation.second_search, evaluation.second_search.seed_count
    before = Search(
        found.candidates_before, found.seed_candidates_before, found.seed_misclassifications_before
    )
    after = Search(found.candidates_after, found.seed_candidates_after, found.seed_misclassifications_after)
    family: list[Estimate] = []
    if bound.max_ratio is not None:
        family.append(_Ratio(subject="ratio", bound=bound.max_ratio, before=before, after=after, seeds=seeds))
    if bound.max_rate is not None:
        family.append(_Rate(subject="rate", bound=bound.max_rate, before=before, after=after, seeds=seeds))
    return family


@dataclass(frozen=True, kw_only=True)
class _Searched(Estimate):
    before: Search
    after: Search
    seeds: int
    check: str = "second_search"
    at_least: bool = False

    @property
    def _hit_seeds(self) -> int:
        return len(self.after.seed_found)

    def measured(self) -> str:
        return (
            f"From {self.seeds:,} fresh seeds the candidate gets {self.after.found:,} of "
            f"{self.after.candidates:,} candidates wrong, around {self.after.hit_seeds:,} seeds, and the "
            f"baseline {self.before.found:,} of {self.before.candidates:,}, around {self.before.hit_seeds:,}"
        )

    def failed(self, interval: Interval) -> str:
        wrong = f"Around fresh seeds the candidate is wrong too often: surely more than {interval.lower:.4g}"
        if not math.isfinite(interval.upper):
            return f"{wrong}, and the baseline never is."
        # The interval keeps its width on a logarithmic scale.
        passing = self.bound * interval.value / interval.upper
        return f"{wrong}; about {passing:.4g} instead of {interval.value:.4g} would pass."

    def undecided(self, interval: Interval) -> str:
        if not math.isfinite(interval.upper):
            return (
                f"At least {LEAST_SEEDS} seeds with a misclassification are needed, and there are "
                f"{self._hit_seeds:,}: audit with more seeds (audit.max_seeds)."
            )
        return (
            f"About {rounded_up(self.seeds * self._growth(interval))} seeds would decide: audit with more "
            "(audit.max_seeds; half of them come from the validation split, which must have as many)."
            if interval.value != self.bound
            else "The value is exactly at the bound: no number of seeds would decide."
        )

    def _growth(self, interval: Interval) -> float:
        """Return by which factor more seeds would move the interval's end to the bound."""
        if interval.value <= 0:
            return interval.upper / self.bound
        end = interval.upper if interval.value < self.bound else interval.lower
        if end <= 0:
            return 2.0
        return (math.log(end / interval.value) / math.log(self.bound / interval.value)) ** 2


class _Ratio(_Searched):
    def interval(self, error: float) -> Interval:
        if self._hit_seeds < LEAST_SEEDS:
            return Interval(0.0, 0.0, math.inf, self._hit_seeds, error)
        return ratio_interval(self.before, self.after, error)


class _Rate(_Searched):
    def interval(self, error: float) -> Interval:
        if self.seeds < LEAST_SEEDS or self.after.candidates == 0:
            return Interval(0.0, 0.0, math.inf, self.seeds, error)
        return rate_interval(self.before, self.after, self.seeds, error)
