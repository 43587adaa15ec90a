"""The watchdog: ends a job whose time is up, whatever its threads are doing.

A model may loop for ever inside onnxruntime, where no signal handler of Python runs. So a thread of its own
looks at the clock. It says what was running, and the job ends. This module imports nothing heavy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from defuse_engine.errors import LimitExceeded, ModelOutOfMemory, out_of_memory
from defuse_engine.job_folder.job_file import Limits

_INTERVAL_S = 0.25
_ADVICE = "export one that computes less, without unbounded loops, or grant more time"


@dataclass(frozen=True)
class _Call:
    """A model that is being opened or asked."""

    what: str
    items: int
    """Of the batch; 0 while the file is opened."""
    begun_s: float

    def __str__(self) -> str:
        return f"did not answer a batch of {self.items}" if self.items else "could not be opened"


_calls: dict[object, _Call] = {}
"""Those of all threads, in the order in which they began."""


@contextmanager
def asked(what: str, items: int) -> Generator[None]:
    """Let the watchdog know that a stranger's model is asked about a batch (0 items: that it is opened).

    Raises `ModelOutOfMemory` in place of the library's own error.
    """
    key = object()
    _calls[key] = _Call(what, items, time.monotonic())
    try:
        yield
    except ModelOutOfMemory:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise ModelOutOfMemory(what, items) from error
        raise
    finally:
        del _calls[key]


def watch(limits: Limits, end: Callable[[LimitExceeded], object]) -> None:
    """Call `end`, from a thread of its own, once a limit of time is exceeded. It has to end the process."""
    if (limits.wall_s, limits.cpu_s, limits.batch_s) == (None, None, None):
        return
    threading.Thread(target=_watch, args=(limits, end), name="watchdog", daemon=True).start()


def _watch(limits: Limits, end: Callable[[LimitExceeded], object]) -> None:
    begun_s = time.monotonic()
    while (exceeded := _exceeded(limits, begun_s)) is None:
        time.sleep(_INTERVAL_S)
    end(exceeded)


def _exceeded(limits: Limits, begun_s: float) -> LimitExceeded | None:
    now_s = time.monotonic()
    # One step: other threads change the calls meanwhile.
    oldest = next(iter(list(_calls.values())), None)
    if oldest and limits.batch_s is not None and now_s - oldest.begun_s > limits.batch_s:
        return LimitExceeded(
            f"{oldest.what} {oldest} within {limits.batch_s} s: {_ADVICE}",
            {"batch_s": limits.batch_s, "items": oldest.items},
        )
    if limits.wall_s is not None and now_s - begun_s > limits.wall_s:
        cause = "use a smaller dataset or model, or grant more time"
        if oldest:
            cause = f"{oldest.what} {oldest} in its last {now_s - oldest.begun_s:.0f} s; {_ADVICE}"
        return LimitExceeded(
            f"the job was not done within {limits.wall_s} s: {cause}", {"wall_s": limits.wall_s}
        )
    if limits.cpu_s is not None and time.process_time() > limits.cpu_s:
        return LimitExceeded(
            f"the job used its {limits.cpu_s} s of CPU time; grant more, or ask for less",
            {"cpu_s": limits.cpu_s},
        )
    return None
