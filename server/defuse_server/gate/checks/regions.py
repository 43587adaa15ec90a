"""Checks each confirmed region by fresh samples that no training saw."""

from dataclasses import dataclass
from typing import Self

from defuse.v1.promotion_service_pb2 import VERDICT_INCONCLUSIVE, Check, Evaluation, RegionAccuracy

from defuse_server.gate.checks.data_needed import rounded_up
from defuse_server.gate.checks.family import decided
from defuse_server.gate.checks.share_estimate import ShareEstimate
from defuse_server.gate.policy import bounds
from defuse_server.gate.statistics.interval import Interval


def region_checks(evaluation: Evaluation, bound: bounds.RegionAccuracy | None, error: float) -> list[Check]:
    """Return a check for each confirmed region, or one inconclusive check if there is none."""
    if bound is None:
        return []
    confirmed = [region for region in evaluation.regions if region.confirmed]
    if not confirmed:
        return [_nothing_known(bound.min)]
    return decided([_Region.of(region, bound.min) for region in confirmed], error)


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


@dataclass(frozen=True, kw_only=True)
class _Region(ShareEstimate):
    region: RegionAccuracy

    @classmethod
    def of(cls, region: RegionAccuracy, bound: float) -> Self:
        return cls(
            check="region_accuracy",
            subject=region.region,
            bound=bound,
            right=round(region.accuracy_after * region.samples),
            items=region.samples,
            region=region,
        )

    def measured(self) -> str:
        region = self.region
        return (
            f"{self.right:,} of {region.samples:,} unseen samples of {region.region} get the label "
            f"{region.label}; of the baseline, which says {region.predicted_class}, "
            f"{round(region.accuracy_before * region.samples):,} do"
        )

    def failed(self, interval: Interval) -> str:
        enough = self.right_to_pass(interval.error)
        does = (
            "more samples of each region are needed for any candidate to pass"
            if enough is None
            else f"{enough:,} of {self.items:,} would pass, {enough - self.right:,} more"
        )
        return f"{self.region.region} is still wrong: {does}. Correct it, or train on more like it."

    def undecided(self, interval: Interval) -> str:
        count = self.items_to_decide(interval)
        if count is None:
            return "The value is so close to the bound that no number of samples would decide."
        return f"About {rounded_up(count)} samples would decide (region_accuracy.samples)."
