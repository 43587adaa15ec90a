"""Decides checks of one kind together (S. Holm, A simple sequentially rejective procedure, 1979)."""

from collections.abc import Sequence

from defuse.v1.promotion_service_pb2 import VERDICT_INCONCLUSIVE, Check

from defuse_server.gate.checks.estimate import Estimate, as_check, verdict_of
from defuse_server.gate.statistics.interval import Interval


def decided(family: Sequence[Estimate], error: float) -> list[Check]:
    """Return the checks of a family, in its order.

    A figure is decided if its interval does not contain the bound. The first step takes the intervals of
    all m figures at an error of `error` / m. The m' figures that remain undecided are tried again at
    `error` / m', and so on until a step decides none. Each check shows the interval of its last step.
    """
    intervals: dict[int, Interval] = {}
    waiting = list(range(len(family)))
    while waiting:
        step = {number: family[number].interval(error / len(waiting)) for number in waiting}
        intervals |= step
        still = [n for n in waiting if verdict_of(family[n], step[n]) == VERDICT_INCONCLUSIVE]
        if len(still) == len(waiting):
            break
        waiting = still
    return [as_check(estimate, intervals[number]) for number, estimate in enumerate(family)]
