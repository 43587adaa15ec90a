"""An estimate of a share of items that are right, with a lower bound."""

from dataclasses import dataclass

from defuse_server.gate.checks.data_needed import MOST, least
from defuse_server.gate.checks.estimate import Estimate
from defuse_server.gate.statistics.interval import Interval
from defuse_server.gate.statistics.shares import share_interval


@dataclass(frozen=True, kw_only=True)
class ShareEstimate(Estimate):
    """The share of `items` that are `right`."""

    right: int
    items: int

    def interval(self, error: float) -> Interval:
        """Return the interval of the share."""
        return share_interval(self.right, self.items, error)

    def right_to_pass(self, error: float) -> int | None:
        """Return how many right items would pass, or None if no number would."""
        return least(
            lambda right: share_interval(right, self.items, error).lower >= self.bound, self.right, self.items
        )

    def items_to_decide(self, interval: Interval) -> int | None:
        """Return how many items would decide at the same share, or None if no number would."""

        def decides(items: int) -> bool:
            found = share_interval(interval.value * items, items, interval.error)
            return found.lower >= self.bound or found.upper < self.bound

        return least(decides, max(self.items, 1), MOST)
