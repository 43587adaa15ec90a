"""Streams what an audit finds, from a cursor on, until the audit has ended."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from defuse.v1.audit_service_pb2 import (
    StreamBugsResponse,
    StreamMisclassificationsResponse,
    StreamRegionsResponse,
)
from google.protobuf.message import Message

from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.findings.chunk_messages import chunk_messages
from defuse_server.findings.chunks import Chunk
from defuse_server.records.watching import cursor_unknown

_CHUNKS_LISTED = 100
_FINDINGS_SENT = 50
_CURSOR = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)


async def misclassifications(backend: Backend, audit: str, cursor: str, write: Write) -> None:
    """Send the messages of an audit's chunks as the worker made them; see AuditService.

    While nothing is found, a message with only the last cursor keeps the connection open. At most one block
    of one chunk is in memory, because `write` waits for the reader.

    Raises `NotFound`, `CursorUnknown`.
    """
    shard, skipped = await _opened(backend, audit, cursor)
    sender = _Sender(write, backend.resources.watch_silence_s)
    async with aclosing(backend.resources.watch(audit, "")) as changes:
        async for _ in changes:
            while chunks := await backend.chunks.list(audit, shard, _CHUNKS_LISTED):
                for chunk in chunks:
                    cursor = await _send(backend, chunk, skipped, sender.send) or cursor
                    shard, skipped = chunk.shard + 1, 0
            await sender.send_if_silent(StreamMisclassificationsResponse(cursor=cursor))


async def regions(backend: Backend, audit: str, cursor: str, write: Write) -> None:
    """Send an audit's regions as they are labeled now. Raises `NotFound`, `CursorUnknown`."""

    def response(found: Sequence[Any], cursor: str) -> Message:
        return StreamRegionsResponse(regions=found, cursor=cursor)

    await _findings(backend, audit, cursor, write, "regions", backend.regions.range, response)


async def bugs(backend: Backend, audit: str, cursor: str, write: Write) -> None:
    """Send an audit's bugs as they are labeled now. Raises `NotFound`, `CursorUnknown`."""

    def response(found: Sequence[Any], cursor: str) -> Message:
        return StreamBugsResponse(bugs=found, cursor=cursor)

    await _findings(backend, audit, cursor, write, "bugs", backend.bugs.range, response)


async def _findings(
    backend: Backend,
    audit: str,
    cursor: str,
    write: Write,
    what: str,
    read: Callable[[str, int, int], Awaitable[Sequence[Any]]],
    response: Callable[[Sequence[Any], str], Message],
) -> None:
    sealer, purpose = backend.resources.sealer, f"stream-{what}:{audit}"
    position = await sealer.open(purpose, cursor) if cursor else "0"
    if position is None:
        raise cursor_unknown()
    first = int(position)
    sender = _Sender(write, backend.resources.watch_silence_s)
    async with aclosing(backend.resources.watch(audit, "")) as changes:
        async for _ in changes:
            while found := await read(audit, first, _FINDINGS_SENT):
                first += len(found)
                cursor = await sealer.seal(purpose, str(first))
                await sender.send(response(found, cursor))
            await sender.send_if_silent(response((), cursor))


class _Sender:
    """Writes a stream's messages and remembers when it wrote the last one."""

    def __init__(self, write: Write, silence_s: float) -> None:
        self._write = write
        self._silence_s = silence_s
        self._now = asyncio.get_running_loop().time
        self._sent_s = self._now()

    async def send(self, message: Message | bytes) -> None:
        await self._write(message)
        self._sent_s = self._now()

    async def send_if_silent(self, message: Message) -> None:
        if self._now() - self._sent_s >= self._silence_s:
            await self.send(message)


async def _send(backend: Backend, chunk: Chunk, skipped: int, write: Write) -> str:
    """Send a chunk's messages after the first `skipped`. Returns the cursor of the last one, or empty."""
    number = 0
    async with aclosing(chunk_messages(backend.store, chunk)) as messages:
        async for message in messages:
            number += 1
            if number > skipped:
                await write(message)
    if number < skipped:
        raise cursor_unknown()
    return f"{chunk.shard}.{number - 1}" if number else ""


async def _opened(backend: Backend, audit: str, cursor: str) -> tuple[int, int]:
    """Return the shard to go on with, and how many of its messages were read before."""
    await backend.resources.get(audit)
    if not cursor:
        return 0, 0
    match = _CURSOR.fullmatch(cursor)
    if match is None or not await backend.chunks.list(audit, int(match[1]), 1):
        raise cursor_unknown()
    return int(match[1]), int(match[2]) + 1
