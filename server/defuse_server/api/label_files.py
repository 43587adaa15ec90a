"""LabelService's files: exports tasks for other tools, and imports the answers from there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from defuse.v1 import label_service_pb2 as pb

from defuse_server import validation
from defuse_server.api.client_streams import data_of, read_header
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.errors import TooLarge
from defuse_server.label_files.csv_file import CsvReader
from defuse_server.label_files.export import export as export_tasks
from defuse_server.label_files.file_answers import Answers
from defuse_server.label_files.import_answers import import_answers
from defuse_server.label_files.label_studio import LabelStudioReader
from defuse_server.validation import ANNOTATOR_CHARACTERS, Violations

FILE_BYTES: Final = 1024**3
"""Largest file of answers that an import takes."""
_EXPORT_BYTES = 256 * 1024
_URL_CHARACTERS = 1000
_URL_STARTS = ("http://", "https://", "s3://", "gs://", "/")


async def export(backend: Backend, request: pb.ExportLabelTasksRequest, write: Write) -> None:
    """Write the header and then the file; see label_service.proto."""
    with Violations() as violations:
        validation.name(violations, "audit", request.audit, "audits")
        _format(violations, request.format)
        base = request.image_base_url
        validation.text(violations, "image_base_url", base, _URL_CHARACTERS)
        violations.require(
            base == "" or base.startswith(_URL_STARTS),
            "image_base_url",
            f"expected a start of {', '.join(_URL_STARTS)}, got {base[:100]!r}",
        )
    exported = await export_tasks(
        backend, request.audit, request.format, base, include_closed=request.include_closed
    )
    await write(pb.ExportLabelTasksResponse(header=exported.header))
    async for data in _in_messages(exported.pieces):
        await write(pb.ExportLabelTasksResponse(data=data))


async def _in_messages(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes in pieces of one size: rows are small, and pictures are large."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= _EXPORT_BYTES:
            yield bytes(held[:_EXPORT_BYTES])
            del held[:_EXPORT_BYTES]
    yield bytes(held)


async def import_labels(
    backend: Backend, requests: AsyncIterator[pb.ImportLabelsRequest]
) -> pb.ImportLabelsResponse:
    """Read the whole file, then count its answers; see label_service.proto."""
    header = await _header(requests)
    # Checked before the bytes come: a client with a wrong name need not send them all.
    await backend.resources.get(header.audit)
    return await import_answers(backend, header.audit, await _answers(header, requests))


async def _header(requests: AsyncIterator[pb.ImportLabelsRequest]) -> pb.ImportLabelsHeader:
    header: pb.ImportLabelsHeader = await read_header(requests)
    with Violations() as violations:
        validation.name(violations, "header.audit", header.audit, "audits")
        _format(violations, header.format, "header.")
        validation.text(violations, "header.annotator", header.annotator, ANNOTATOR_CHARACTERS)
    return header


async def _answers(header: pb.ImportLabelsHeader, requests: AsyncIterator[pb.ImportLabelsRequest]) -> Answers:
    is_csv = header.format == pb.LabelFormat.LABEL_FORMAT_CSV
    reader = CsvReader(header.annotator) if is_csv else LabelStudioReader()
    size_bytes = 0
    async for request in requests:
        data = data_of(request)
        size_bytes += len(data)
        if size_bytes > FILE_BYTES:
            raise TooLarge(f"expected at most {FILE_BYTES} bytes, got more: import the file in parts")
        # On a thread: a task with a large picture would hold up other calls.
        await asyncio.to_thread(reader.feed, data)
    return await asyncio.to_thread(reader.finish)


def _format(violations: Violations, value: pb.LabelFormat, prefix: str = "") -> None:
    known = (pb.LabelFormat.LABEL_FORMAT_LABEL_STUDIO, pb.LabelFormat.LABEL_FORMAT_CSV)
    violations.require(
        value in known,
        f"{prefix}format",
        f"expected LABEL_FORMAT_LABEL_STUDIO or LABEL_FORMAT_CSV, got {value}",
    )
