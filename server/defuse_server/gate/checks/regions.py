"""Checks each confirmed region by fresh samples that no training saw."""

from dataclasses import dataclass

from defuse.v1.promotion_service_pb2 import VERDICT_INCONCLUSIVE, Check, Evaluation, RegionAccuracy

from defuse_server.gate.checks.data_needed import MOST, least, rounded_up
from defuse_server.gate.checks.family import decided
from defuse_server.gate.policy import bounds
from defuse_server.gate.statistics.interval import Interval
from defuse_server.gate.statistics.shares import share_interval


def region_checks(evaluation: Evaluation, bound: bounds.RegionAccuracy | None, error: float) -> list[Check]:
    """Return a check for each confirmed region, or one inconclusive check if there is none."""
    if bound is None:
        return []
    confirmed = [region for region in evaluation.regions if region.confirmed]
    if not confirmed:
        return [_nothing_known(bound.min)]
    return decided([_Region(region, bound.min) for region in confirmed], error)


def _nothing_known(bound: float) -> Check:
    return Check(
        check="region_accuracy",
        verdict=VERDICT_INCONCLUSIVE,
        bound=bound,
        at_least=True,
        explanation="No region is a confirmed bug: there is no known mistake to check.",
        remedy="Label the audit's regions, or audit with more seeds. If a long enough search found nothing "
        "wrong, set `region_accuracy: off` in the policy, and the other checks decide.",
    )


@dataclass(frozen=True)
class _Region:
    region: RegionAccuracy
    bound: float
    check: str = "region_accuracy"
    at_least: bool = True

    @property
    def subject(self) -> str:
        return self.region.region

    @property
    def _right(self) -> int:
        return round(self.region.accuracy_after * self.region.samples)

    def interval(self, error: float) -> Interval:
        return share_interval(self._right, self.region.samples, error)

    def measured(self) -> str:
        region = self.region
        return (
            f"{self._right:,} of {region.samples:,} unseen samples of {region.region} get the label "
            f"{region.label}; of the baseline, which says {region.predicted_class}, "
            f"{round(region.accuracy_before * region.samples):,} do"
        )

    def failed(self, interval: Interval) -> str:
        samples = self.region.samples
        enough = least(
            lambda right: share_interval(right, samples, interval.error).lower >= self.bound,
            self._right,
            samples,
        )
        does = (
            "more samples of each region are needed for any candidate to pass"
            if enough is None
            else f"{enough:,} of {samples:,} would pass, {enough - self._right:,} more"
        )
        return f"{self.region.region} is still wrong: {does}. Correct it, or train on more like it."

    def undecided(self, interval: Interval) -> str:
        def decides(samples: int) -> bool:
            found = share_interval(interval.value * samples, samples, interval.error)
            return found.lower >= self.bound or found.upper < self.bound

        count = least(decides, max(self.region.samples, 1), MOST)
        if count is None:
            return "The value is so close to the bound that no number of samples would decide."
        return f"About {rounded_up(count)} samples would decide (region_accuracy.samples)."
