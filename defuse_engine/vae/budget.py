"""The budget of a training: the share of its time, or of its steps, that is spent."""

from __future__ import annotations

import time
from collections.abc import Callable


class Budget:
    """Counts the steps of all settings together.

    With `max_steps`, steps alone measure how far the training is, so two runs take the same course, and the
    time only ends it. Without it (0), the time measures it.
    """

    def __init__(self, budget_s: float, max_steps: int, clock_s: Callable[[], float] = time.monotonic):
        self._budget_s, self._max_steps, self._clock_s = budget_s, max_steps, clock_s
        self._started_s = clock_s()
        self.steps = 0
        self._spent_at_first = 0.0

    def count(self) -> None:
        """Count a step that was made."""
        self.steps += 1
        if self.steps == 1:
            self._spent_at_first = self.spent

    @property
    def spent(self) -> float:
        """The share that is spent, in [0, 1]."""
        of_time = (self._clock_s() - self._started_s) / self._budget_s
        if of_time >= 1.0 or not self._max_steps:
            return min(1.0, of_time)
        return min(1.0, self.steps / self._max_steps)

    @property
    def estimated_steps(self) -> int:
        """The total number of steps at the present pace."""
        if self._max_steps:
            return self._max_steps
        spent = self.spent
        # What came before the first step says nothing about the pace.
        pace = (self.steps - 1) / max(spent - self._spent_at_first, 1e-6) if self.steps > 1 else 0.0
        return self.steps + round((1.0 - spent) * pace)
