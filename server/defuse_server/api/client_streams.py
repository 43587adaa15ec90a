"""Reads client streams: a header as the first message, then data."""

from collections.abc import AsyncIterator
from typing import Any, Final

from defuse_server.errors import InvalidRequest

DATA_BYTES: Final = 1024 * 1024
"""Largest data in one message of a stream."""


async def read_header(requests: AsyncIterator[Any]) -> Any:
    """Return the header of a stream. Raises `InvalidRequest` if the first message has none."""
    async for request in requests:
        if request.WhichOneof("content") == "header":
            return request.header
        break
    raise InvalidRequest([("header", "expected a header as the first message of the stream")])


def data_of(request: Any) -> bytes:
    """Return the data of a later message. Raises `InvalidRequest` if it has none, or too much."""
    if request.WhichOneof("content") != "data":
        raise InvalidRequest([("data", "expected data in every message after the first")])
    if len(request.data) > DATA_BYTES:
        raise InvalidRequest(
            [("data", f"expected at most {DATA_BYTES} bytes in a message, got {len(request.data)}")]
        )
    return request.data
