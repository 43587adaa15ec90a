"""When to try again, and for how long."""

import random
import time
from collections.abc import Callable

FIRST_DELAY_S = 0.1
LARGEST_DELAY_S = 5.0


class Retries:
    """The delays between the attempts of one call, up to its deadline.

    Bounds double from 0.1 s to 5 s. Each delay is drawn uniformly from the upper half of its bound, because
    many clients of a server that comes back must not all call at once. With `timeout_s` None it never gives
    up. Raises `ValueError` unless `timeout_s` is above 0.
    """

    def __init__(
        self,
        timeout_s: float | None,
        *,
        now: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        if timeout_s is not None and timeout_s <= 0:
            raise ValueError(f"expected timeout_s to be above 0 seconds, got {timeout_s}")
        self._timeout_s = timeout_s
        self._now = now
        self._uniform = uniform
        self._bound_s = FIRST_DELAY_S
        self._deadline = self._deadline_from_now()

    def progressed(self) -> None:
        """Start over at the next failure, because the server answered.

        A stream may be silent for longer than `timeout_s`, and it may break any number of times.
        """
        self._bound_s = FIRST_DELAY_S
        self._deadline = None

    def remaining_s(self) -> float | None:
        """Return the time until the deadline, at least a millisecond; None without a deadline."""
        return None if self._deadline is None else max(self._deadline - self._now(), 0.001)

    def next_delay_s(self, at_least_s: float = 0.0) -> float | None:
        """Return how long to wait before the next attempt, or None if that would pass the deadline."""
        delay_s = max(self._uniform(self._bound_s / 2, self._bound_s), at_least_s)
        self._bound_s = min(self._bound_s * 2, LARGEST_DELAY_S)
        if self._deadline is None:
            self._deadline = self._deadline_from_now()
        remaining_s = self.remaining_s()
        return delay_s if remaining_s is None or delay_s < remaining_s else None

    def _deadline_from_now(self) -> float | None:
        return None if self._timeout_s is None else self._now() + self._timeout_s
