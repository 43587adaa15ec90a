"""LabelService's files: tasks that go to other tools, and answers that come from there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from defuse.v1.label_service_pb2 import (
    ExportLabelTasksRequest,
    ExportLabelTasksResponse,
    ImportLabelsHeader,
    ImportLabelsRequest,
    ImportLabelsResponse,
    LabelFormat,
)

from defuse_server import validation
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest, TooLarge
from defuse_server.label_files.answers import Answers, Reader
from defuse_server.label_files.count import count
from defuse_server.label_files.export import export as export_tasks
from defuse_server.label_files.label_studio import LabelStudioReader
from defuse_server.label_files.spreadsheet import SpreadsheetReader
from defuse_server.validation import ANNOTATOR_CHARACTERS, Violations

FILE_BYTES: Final = 1024**3
"""Largest file of answers that is taken."""
DATA_BYTES: Final = 1024 * 1024
"""Most data in one message of an import."""
_EXPORT_BYTES = 256 * 1024
_URL_CHARACTERS = 1000
_URL_STARTS = ("http://", "https://", "s3://", "gs://", "/")


async def export(backend: Backend, request: ExportLabelTasksRequest, write: Write) -> None:
    """Writes the header and then the file; see label_service.proto."""
    violations = Violations()
    validation.name(violations, "audit", request.audit, "audits")
    _format(violations, request.format)
    base = request.image_base_url
    validation.text(violations, "image_base_url", base, _URL_CHARACTERS)
    violations.require(
        base == "" or base.startswith(_URL_STARTS),
        "image_base_url",
        f"expected a start of {', '.join(_URL_STARTS)}, got {base[:100]!r}",
    )
    violations.check()
    exported = await export_tasks(
        backend, request.audit, request.format, base, include_closed=request.include_closed
    )
    await write(ExportLabelTasksResponse(header=exported.header))
    async for data in _in_messages(exported.pieces):
        await write(ExportLabelTasksResponse(data=data))


async def _in_messages(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Hands out the same bytes in pieces of one size: rows are small, and pictures large."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= _EXPORT_BYTES:
            yield bytes(held[:_EXPORT_BYTES])
            del held[:_EXPORT_BYTES]
    yield bytes(held)


async def take_back(backend: Backend, requests: AsyncIterator[ImportLabelsRequest]) -> ImportLabelsResponse:
    """Reads the whole file, and only then counts; see label_service.proto."""
    header = await _header(requests)
    # Before the bytes come: who names an audit that is not there need not send them all.
    await backend.resources.get(header.audit)
    return await count(backend, header.audit, await _answers(header, requests))


async def _header(requests: AsyncIterator[ImportLabelsRequest]) -> ImportLabelsHeader:
    async for request in requests:
        if request.WhichOneof("content") != "header":
            break
        header, violations = request.header, Violations()
        validation.name(violations, "header.audit", header.audit, "audits")
        _format(violations, header.format, "header.")
        validation.text(violations, "header.annotator", header.annotator, ANNOTATOR_CHARACTERS)
        violations.check()
        return header
    raise InvalidRequest([("header", "expected a header as the first message of the stream")])


async def _answers(header: ImportLabelsHeader, requests: AsyncIterator[ImportLabelsRequest]) -> Answers:
    is_csv = header.format == LabelFormat.LABEL_FORMAT_CSV
    reader: Reader = SpreadsheetReader(header.annotator) if is_csv else LabelStudioReader()
    size_bytes = 0
    async for request in requests:
        data = _data(request)
        size_bytes += len(data)
        if size_bytes > FILE_BYTES:
            raise TooLarge(f"expected at most {FILE_BYTES} bytes, got more: import the file in parts")
        # On a thread: a task with a large picture takes long enough to be felt by others.
        await asyncio.to_thread(reader.feed, data)
    return await asyncio.to_thread(reader.finish)


def _data(request: ImportLabelsRequest) -> bytes:
    if request.WhichOneof("content") != "data":
        raise InvalidRequest([("data", "expected data in every message after the first")])
    if len(request.data) > DATA_BYTES:
        raise InvalidRequest(
            [("data", f"expected at most {DATA_BYTES} bytes in a message, got {len(request.data)}")]
        )
    return request.data


def _format(violations: Violations, value: LabelFormat, prefix: str = "") -> None:
    known = (LabelFormat.LABEL_FORMAT_LABEL_STUDIO, LabelFormat.LABEL_FORMAT_CSV)
    violations.require(
        value in known,
        f"{prefix}format",
        f"expected LABEL_FORMAT_LABEL_STUDIO or LABEL_FORMAT_CSV, got {value}",
    )
