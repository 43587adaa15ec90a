"""An estimated figure, and how it becomes a check."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from defuse.v1 import models_pb2
from defuse.v1 import promotion_service_pb2 as pb

from defuse_server.gate.statistics.interval import Interval


@dataclass(frozen=True, kw_only=True)
class Estimate(ABC):
    """One figure of the candidate that has a bound."""

    check: str
    """Name of the check in the policy."""
    subject: str = ""
    """Subject of the check, as in `Check.subject`."""
    bound: float
    at_least: bool = True
    """True for a lower bound, False for an upper one."""

    @abstractmethod
    def interval(self, error: float) -> Interval:
        """Return the interval with a confidence of 1 - `error`. A smaller error widens both ends."""

    @abstractmethod
    def measured(self) -> str:
        """Say what was measured, in a sentence without its full stop."""

    @abstractmethod
    def failed(self, interval: Interval) -> str:
        """Say what is wrong, by how much, and what would pass."""

    @abstractmethod
    def undecided(self, interval: Interval) -> str:
        """Say how much data would decide."""


def verdict_of(estimate: Estimate, interval: Interval) -> pb.Verdict:
    """Return PASS or FAIL if the whole interval is on one side of the bound, else INCONCLUSIVE."""
    bound = estimate.bound
    above, below = interval.lower >= bound, interval.upper < bound
    if not estimate.at_least:
        above, below = interval.upper <= bound, interval.lower > bound
    return pb.VERDICT_PASS if above else pb.VERDICT_FAIL if below else pb.VERDICT_INCONCLUSIVE


def as_check(estimate: Estimate, interval: Interval) -> pb.Check:
    """Return the check as clients read it."""
    verdict = verdict_of(estimate, interval)
    word = "at least" if estimate.at_least else "at most"
    check = pb.Check(
        check=estimate.check,
        subject=estimate.subject,
        verdict=verdict,
        # A ratio has no finite value if the baseline has no misclassification.
        value=interval.value if math.isfinite(interval.value) else interval.lower,
        bound=estimate.bound,
        at_least=estimate.at_least,
        explanation=f"{estimate.measured()}. {_shown(interval)}; {word} {estimate.bound:g} is asked.",
    )
    if verdict == pb.VERDICT_FAIL:
        check.remedy = estimate.failed(interval)
    elif verdict == pb.VERDICT_INCONCLUSIVE:
        check.remedy = estimate.undecided(interval)
    if math.isfinite(interval.upper):
        shown = {name: value for name, value in vars(interval).items() if name != "error"}
        check.interval.CopyFrom(models_pb2.Interval(**shown))
    return check


def _shown(interval: Interval) -> str:
    confidence = f"{100 * (1 - interval.error):.4g} %"
    if math.isfinite(interval.upper):
        ends = f"from {interval.lower:.4f} to {interval.upper:.4f}"
        return f"The {confidence} interval of {interval.value:.4f} reaches {ends}"
    if interval.lower > 0:
        return f"The {confidence} interval reaches from {interval.lower:.4f} upwards"
    return "That is too little for an interval"
