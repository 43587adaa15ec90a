"""Handles the signals that tell a process to stop."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Generator

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def stop_event() -> Generator[asyncio.Event]:
    """Yield an event that SIGTERM and SIGINT set instead of ending the process."""
    stop = asyncio.Event()
    with on_stop(stop.set):
        yield stop


@contextlib.contextmanager
def on_stop(stop: Callable[[], None]) -> Generator[None]:
    """Call `stop` at SIGTERM and SIGINT instead of ending the process."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
