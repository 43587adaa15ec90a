"""Pieces of work that share nothing, side by side on the processor's cores.

One piece a core beats one piece on all cores: the operations of small models are over before a second core
has woken up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

import torch

P = TypeVar("P")
R = TypeVar("R")
_here = threading.local()
_AHEAD = 2
"""Times the pieces that run: so many are begun before the first is taken, so that no core waits."""


def is_piece() -> bool:
    """Whether the caller is itself one of several pieces: it has its core, and others have theirs."""
    return getattr(_here, "is_piece", False)


def in_order(
    function: Callable[[P], R], pieces: Iterable[P], at_once: int, threads: int
) -> Generator[R, None, None]:
    """`function` of each piece, in the order of the pieces; `at_once` of them run at the same time.

    They share torch's `threads`. Within a piece, pieces run one after another. Whoever closes the iterator
    early waits for the pieces that run; others do not begin.
    """
    if at_once <= 1 or is_piece():
        yield from map(function, pieces)
        return
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(at_once, "piece", _enter, (max(1, threads // at_once),))
        stack.callback(pool.shutdown, cancel_futures=True)
        begun: deque[Future[R]] = deque()
        for piece in pieces:
            begun.append(pool.submit(function, piece))
            if len(begun) == _AHEAD * at_once:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


class Tally:
    """Counts together what pieces say that they have done."""

    def __init__(self, on_sum: Callable[[int], None]):
        """`on_sum` hears the sum after every change, from one piece at a time."""
        self._on_sum = on_sum
        self._done: dict[int, int] = {}
        self._lock = threading.Lock()

    def of(self, piece: int) -> Callable[[int], None]:
        """What a piece is to call with all that it has done so far."""

        def count(done: int) -> None:
            with self._lock:
                self._done[piece] = done
                self._on_sum(sum(self._done.values()))

        return count


def _enter(threads: int) -> None:
    _here.is_piece = True
    torch.set_num_threads(threads)
