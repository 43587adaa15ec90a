"""Reads the messages of a transcoded chunk as the bytes that clients receive.

A chunk is a sequence of messages, each preceded by its length as a varint.
"""

from collections.abc import AsyncGenerator

from defuse_server.findings.chunks import Chunk
from defuse_server.store.artifacts import ArtifactStore

READ_BYTES = 1024 * 1024
"""Bytes to read at once. At most this much and one message are in memory."""

_VARINT_BYTES = 5


async def chunk_messages(store: ArtifactStore, chunk: Chunk) -> AsyncGenerator[bytes]:
    """Yield the chunk's messages in order, each as its serialized bytes."""
    buffer, offset = b"", 0
    while offset < chunk.size_bytes or buffer:
        length, start = _length(buffer)
        if start and len(buffer) >= start + length:
            yield buffer[start : start + length]
            buffer = buffer[start + length :]
            continue
        missing = start + length - len(buffer) if start else 1
        data = await store.read(chunk.sha256, offset, max(READ_BYTES, missing))
        if not data:
            raise ValueError(f"chunk {chunk.shard} ({chunk.sha256}) ends within a message")
        buffer, offset = buffer + data, offset + len(data)


def _length(buffer: bytes) -> tuple[int, int]:
    """Return the length and the start of the buffer's first message, or zeros if more bytes are needed."""
    length = 0
    for position, byte in enumerate(buffer[:_VARINT_BYTES]):
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return length, position + 1
    if len(buffer) >= _VARINT_BYTES:
        raise ValueError("expected a message after its length, got a length of more than 32 bits")
    return 0, 0
