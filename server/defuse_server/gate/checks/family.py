"""Several checks of one kind, decided together: S. Holm, A simple sequentially rejective procedure, 1979."""

from collections.abc import Sequence

from defuse.v1.promotion_service_pb2 import VERDICT_INCONCLUSIVE, Check

from defuse_server.gate.checks.estimate import Estimate, as_check, verdict_of
from defuse_server.gate.statistics.interval import Interval


def decided(family: Sequence[Estimate], error: float) -> list[Check]:
    """The checks of a family, in its order.

    Of m figures, those are decided whose interval at an error of `error` / m is clear of its bound; the m'
    that remain are looked at again at `error` / m', and so on until none is clear. Each check shows the
    interval at the error of its step, so that its verdict is exactly whether that interval is clear.
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
