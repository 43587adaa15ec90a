"""Independent pieces of work, side by side on the processor's cores.

One piece a core is faster than one piece on all cores: the operations of small models end before a second
core has woken up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

P = TypeVar("P")
R = TypeVar("R")
_here = threading.local()
_AHEAD = 2
"""Times the pieces that run at once: so many are started before the first is taken, to keep cores busy."""
_POLL_S = 0.1
"""A signal may reach a working thread; its handler runs only once the main thread wakes up."""


def in_order(
    function: Callable[[P], R], pieces: Sequence[P], at_once: int, threads: int
) -> Generator[R, None, None]:
    """Give `function` of each piece, in their order; at most `at_once` run at the same time.

    They share torch's `threads`, and pieces within a piece share those of that piece. If you close the
    iterator early, it waits for the pieces that run, and starts no others. An error does not wait for them.
    """
    threads = min(threads, getattr(_here, "threads", threads))
    at_once = min(at_once, len(pieces), threads)
    if at_once <= 1:
        yield from map(function, pieces)
        return
    pool = ThreadPoolExecutor(at_once, "piece", _enter, (threads // at_once,))
    waits = False
    try:
        begun: deque[Future[R]] = deque()
        for piece in pieces:
            begun.append(pool.submit(function, piece))
            if len(begun) == _AHEAD * at_once:
                yield _taken(begun.popleft())
        while begun:
            yield _taken(begun.popleft())
        waits = True
    except GeneratorExit:
        waits = True
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)


def _taken(future: Future[R]) -> R:
    while not wait((future,), _POLL_S).done:
        pass
    return future.result()


class Tally:
    """Sums the progress of several pieces."""

    def __init__(self, on_sum: Callable[[int], None]):
        """`on_sum` gets the sum after every change, from one piece at a time."""
        self._on_sum = on_sum
        self._done: dict[int, int] = {}
        self._lock = threading.Lock()

    def of(self, piece: int) -> Callable[[int], None]:
        """Return what a piece calls with all that it has done so far."""

        def count(done: int) -> None:
            with self._lock:
                self._done[piece] = done
                self._on_sum(sum(self._done.values()))

        return count


def _enter(threads: int) -> None:
    _here.threads = threads
    torch.set_num_threads(threads)
