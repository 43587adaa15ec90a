"""Checks on the test split: the accuracy, its change, and the change for each class."""

from dataclasses import dataclass

from defuse.v1.promotion_service_pb2 import Evaluation

from defuse_server.gate.checks.data_needed import MOST, least, rounded_up
from defuse_server.gate.checks.estimate import Estimate
from defuse_server.gate.checks.share_estimate import ShareEstimate
from defuse_server.gate.policy.bounds import Checks
from defuse_server.gate.statistics.interval import Interval
from defuse_server.gate.statistics.paired import change_interval, mcnemar_p


def clean_accuracy_family(evaluation: Evaluation, bounds: Checks) -> list[Estimate]:
    """Return the accuracy on all test items and its change, each if the policy bounds it."""
    family: list[Estimate] = []
    if bounds.clean_accuracy:
        right = round(evaluation.test_accuracy_after * evaluation.test_size)
        bound = bounds.clean_accuracy.min
        family.append(_Accuracy(check="clean_accuracy", right=right, items=evaluation.test_size, bound=bound))
    if bounds.clean_accuracy_change:
        family.append(
            _Change(
                check="clean_accuracy_change",
                lost=sum(entry.lost_count for entry in evaluation.classes),
                gained=sum(entry.gained_count for entry in evaluation.classes),
                items=evaluation.test_size,
                bound=bounds.clean_accuracy_change.min,
            )
        )
    return family


def class_accuracy_family(evaluation: Evaluation, bounds: Checks) -> list[Estimate]:
    """Return the change of each class's accuracy."""
    if not bounds.class_accuracy_change:
        return []
    return [
        _Change(
            check="class_accuracy_change",
            subject=f"class {entry.label}",
            lost=entry.lost_count,
            gained=entry.gained_count,
            items=entry.size,
            bound=bounds.class_accuracy_change.min,
        )
        for entry in evaluation.classes
    ]


class _Accuracy(ShareEstimate):
    def measured(self) -> str:
        return f"The candidate gets {self.right:,} of {self.items:,} test items right"

    def failed(self, interval: Interval) -> str:
        enough = self.right_to_pass(interval.error)
        if enough is None:
            return "The test split is too small for any candidate to pass: add items."
        return f"{enough:,} of {self.items:,} items right would pass: {enough - self.right:,} more."

    def undecided(self, interval: Interval) -> str:
        return _enough_items(self.items_to_decide(interval), "at this accuracy")


@dataclass(frozen=True, kw_only=True)
class _Change(Estimate):
    lost: int
    gained: int
    items: int

    def interval(self, error: float) -> Interval:
        return change_interval(self.lost, self.gained, self.items, error)

    def measured(self) -> str:
        of = f" of {self.subject}" if self.subject else ""
        return (
            f"Of {self.items:,} test items{of} the candidate gets {self.lost:,} wrong that the baseline gets "
            f"right, and {self.gained:,} right that it gets wrong (McNemar's exact test of no change: p = "
            f"{mcnemar_p(self.lost, self.gained):.2g})"
        )

    def failed(self, interval: Interval) -> str:
        whom = self.subject or "the candidate"
        moved = "loses" if interval.value < 0 else "gains only"
        short = self.bound - interval.upper
        allowed = least(lambda kept: self._passes(self.lost - kept, interval.error), 0, self.lost)
        does = (
            "too few items for any candidate to pass"
            if allowed is None
            else f"with as many gained, at most {self.lost - allowed:,} lost items would pass"
        )
        return (
            f"{whom} {moved} {abs(interval.value):.4f}; even the upper end of the interval is {short:.4f} "
            f"short of the bound: {does}."
        )

    def _passes(self, lost: int, error: float) -> bool:
        return change_interval(lost, self.gained, self.items, error).lower >= self.bound

    def undecided(self, interval: Interval) -> str:
        def decides(items: int) -> bool:
            scale = items / self.items
            found = change_interval(self.lost * scale, self.gained * scale, items, interval.error)
            return found.lower >= self.bound or found.upper < self.bound

        of = f" of {self.subject}" if self.subject else ""
        if self.items == 0:
            return f"There is no test item{of}: add some."
        return _enough_items(least(decides, self.items, MOST), "at this rate of disagreement", of)


def _enough_items(count: int | None, at: str, of: str = "") -> str:
    if count is None:
        return f"The value is so close to the bound that no number of test items{of} would decide."
    return f"About {rounded_up(count)} test items{of} {at} would decide."
