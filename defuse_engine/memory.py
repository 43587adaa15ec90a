"""Memory that is free again goes back to the system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give freed memory back to the system, where the C library can (glibc).

    It keeps what threads free for them to use again, in pieces that fit the next request less and less: after
    a search of four shards half of the process's memory was free, and no other process could have it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
