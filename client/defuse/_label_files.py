"""Tasks for other labeling tools as files, and the answers that come back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from defuse._flow import (
    DEFAULT_TIMEOUT_S,
    Flow,
    OpenStream,
    Receive,
    SendStream,
    Stream,
    blocking,
    wait_or_raise,
)
from defuse._requests import Named, enum_value, name_of
from defuse._retry import Retries
from defuse._transfer import SLOWEST_BYTES_PER_S, put_in_place
from defuse.errors import ArgumentError, Unavailable
from defuse.v1.label_service_pb2 import (
    ExportLabelTasksHeader,
    ExportLabelTasksRequest,
    ExportLabelTasksResponse,
    ImportLabelsHeader,
    ImportLabelsRequest,
    ImportLabelsResponse,
    LabelFormat,
)

CHUNK_BYTES = 64 * 1024
_FORMATS = {".json": LabelFormat.LABEL_FORMAT_LABEL_STUDIO, ".csv": LabelFormat.LABEL_FORMAT_CSV}

Path_ = str | os.PathLike[str]


def export_label_tasks(
    audit: Named,
    path: Path_,
    *,
    format: LabelFormat | str | None = None,  # noqa: A002 - the contract names it so
    image_base_url: str = "",
    include_closed: bool = False,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[ExportLabelTasksHeader]:
    """Write an audit's open regions as tasks for another tool: `label_studio` or `csv`.

    Returns the header, with Label Studio's labeling configuration. Without `format` the file's name decides.
    Pictures are embedded, or named by their URL under `image_base_url`. The file appears whole or not at all;
    `timeout_s` bounds how long no server may be found. Raises NotFound, ArgumentError, OSError.
    """
    target = Path(path)
    request = ExportLabelTasksRequest(
        audit=name_of(audit),
        format=_format_of(target, format),
        image_base_url=image_base_url,
        include_closed=include_closed,
    )
    retries = Retries(timeout_s)
    while True:
        try:
            return (yield from _export(request, target))
        except Unavailable as error:
            yield from wait_or_raise(retries, error, "LabelService/ExportLabelTasks")


def _export(request: ExportLabelTasksRequest, target: Path) -> Flow[ExportLabelTasksHeader]:
    header, stream = ExportLabelTasksHeader(), cast("Stream | None", None)
    # In the target's own folder: a file can't be renamed to another file system.
    descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            opened = yield OpenStream(
                "LabelService/ExportLabelTasks", request, ExportLabelTasksResponse, None
            )
            stream = cast(Stream, opened)
            while (message := cast("ExportLabelTasksResponse | None", (yield Receive(stream)))) is not None:
                if message.WhichOneof("content") == "header":
                    header = message.header
                data = message.data
                yield from blocking(lambda data=data: _write(file, data))
        put_in_place(part, target)
        return header
    finally:
        if stream is not None:
            stream.cancel()
        Path(part).unlink(missing_ok=True)


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def import_labels(
    audit: Named,
    path: Path_,
    *,
    format: LabelFormat | str | None = None,  # noqa: A002 - the contract names it so
    annotator: str = "",
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[ImportLabelsResponse]:
    """Take the answers of a file back, exported by Label Studio (JSON) or filled in as CSV.

    Each annotation is counted once, however often its file comes. What could not be counted is in `problems`.
    `annotator` is who answered where a row of CSV doesn't say. Without `format` the file's name decides.
    Raises NotFound, InvalidArgument for a file that is not of its format, ArgumentError, OSError.
    """
    source = Path(path)
    header = ImportLabelsHeader(audit=name_of(audit), format=_format_of(source, format), annotator=annotator)
    size_bytes = yield from blocking(lambda: source.stat().st_size)
    limit_s = None if timeout_s is None else timeout_s + size_bytes / SLOWEST_BYTES_PER_S
    retries = Retries(timeout_s)
    while True:
        try:
            step = SendStream(
                "LabelService/ImportLabels", _requests(source, header), ImportLabelsResponse, limit_s
            )
            return cast(ImportLabelsResponse, (yield step))
        except Unavailable as error:
            yield from wait_or_raise(retries, error, "LabelService/ImportLabels")


def _requests(source: Path, header: ImportLabelsHeader) -> Iterator[ImportLabelsRequest]:
    yield ImportLabelsRequest(header=header)
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield ImportLabelsRequest(data=chunk)


def _format_of(path: Path, format_: LabelFormat | str | None) -> LabelFormat:
    if format_ is not None:
        return enum_value(LabelFormat, "LABEL_FORMAT_", format_)
    if path.suffix.lower() not in _FORMATS:
        raise ArgumentError(
            f"expected a file named .json (Label Studio) or .csv, or a format; got {path.name!r}"
        )
    return _FORMATS[path.suffix.lower()]
