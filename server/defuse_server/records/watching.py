"""Watches one resource: its present state, then every change, until it has ended."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

from defuse_server.errors import CursorUnknown
from defuse_server.records.changes import Changes
from defuse_server.records.record import Record

_POLL_S = 2.0


async def changed_records(
    name: str, seen: int, silence_s: float, read: Callable[[str], Awaitable[Record]], changes: Changes
) -> AsyncGenerator[Record]:
    """Yield the record whenever its revision is above the last one, and at least every `silence_s` seconds.

    `seen` is the revision to begin after. Ends after a final state.
    """
    now = asyncio.get_running_loop().time
    yielded_s = now()
    with changes.subscribed(name) as changed:
        while True:
            changed.clear()
            record = await read(name)
            is_silent = not record.is_final and now() - yielded_s > silence_s
            if record.revision > seen or is_silent:
                seen, yielded_s = record.revision, now()
                yield record
            if record.is_final:
                return
            # No wait_for: on Python 3.11 it swallows a cancellation that comes together with a change.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_POLL_S, silence_s)):
                    await changed.wait()


def cursor_unknown() -> CursorUnknown:
    """Return the error for a cursor that this service did not hand out for this stream."""
    return CursorUnknown(
        "the cursor was never handed out for this stream: pass the last message's, or leave it empty"
    )
