"""Tasks for other labeling tools as files, and the answers that come back."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from defuse._calls.flows import blocking, received, retried
from defuse._calls.request_fields import Named, enum_value, name_of
from defuse._calls.retries import Retries
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow, OpenStream, SendStream, method_of
from defuse._operations.transfer import CHUNK_BYTES, PathLike, transfer_limit_s, whole_file
from defuse.errors import ArgumentError
from defuse.v1 import label_service_pb2 as pb
from defuse.v1.label_service_pb2 import LabelFormat

_FORMATS = {".json": LabelFormat.LABEL_FORMAT_LABEL_STUDIO, ".csv": LabelFormat.LABEL_FORMAT_CSV}


def export_label_tasks(
    audit: Named,
    path: PathLike,
    *,
    format: LabelFormat | str | None = None,  # noqa: A002 - the contract names it so
    image_base_url: str = "",
    include_closed: bool = False,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[pb.ExportLabelTasksHeader]:
    """Write an audit's open regions as tasks for another tool, and return the header.

    `format` is `label_studio` or `csv`; without it the file's name decides. The header holds Label Studio's
    labeling configuration. Pictures are embedded, or named by their URL under `image_base_url`. The file
    appears whole or not at all; `timeout_s` bounds how long the server may stay away. Raises `NotFound`,
    `ArgumentError` if neither format nor name tells the format, and `OSError`.
    """
    target = Path(path)
    header = pb.ExportLabelTasksHeader()
    request = pb.ExportLabelTasksRequest(
        audit=name_of(audit),
        format=_format_of(target, format),
        image_base_url=image_base_url,
        include_closed=include_closed,
    )

    def attempt() -> Flow[None]:
        opening = OpenStream(request, pb.ExportLabelTasksResponse, None)
        with whole_file(target) as file:

            def keep(message: pb.ExportLabelTasksResponse) -> Flow[None]:
                if message.WhichOneof("content") == "header":
                    header.CopyFrom(message.header)
                yield from blocking(lambda: file.write(message.data))

            yield from received(opening, keep)

    yield from retried(method_of(request), Retries(timeout_s), attempt)
    return header


def import_labels(
    audit: Named,
    path: PathLike,
    *,
    format: LabelFormat | str | None = None,  # noqa: A002 - the contract names it so
    annotator: str = "",
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[pb.ImportLabelsResponse]:
    """Take answers back from a file: Label Studio's JSON export, or a filled-in CSV file.

    Each annotation is counted once, however often its file comes. `problems` lists what could not be counted.
    `annotator` is the author of CSV rows that name none. Without `format` the file's name decides. Raises
    `NotFound`, `InvalidArgument` if the file is not of its format, `ArgumentError` if neither format nor name
    tells the format, and `OSError`.
    """
    source = Path(path)
    header = pb.ImportLabelsHeader(
        audit=name_of(audit), format=_format_of(source, format), annotator=annotator
    )
    size_bytes = yield from blocking(lambda: source.stat().st_size)
    limit_s = transfer_limit_s(size_bytes, timeout_s)

    def attempt() -> Flow[pb.ImportLabelsResponse]:
        requests = _requests(source, header)
        step = SendStream(pb.ImportLabelsRequest, requests, pb.ImportLabelsResponse, limit_s)
        return cast(pb.ImportLabelsResponse, (yield step))

    return (yield from retried(method_of(pb.ImportLabelsRequest), Retries(timeout_s), attempt))


def _requests(source: Path, header: pb.ImportLabelsHeader) -> Iterator[pb.ImportLabelsRequest]:
    yield pb.ImportLabelsRequest(header=header)
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield pb.ImportLabelsRequest(data=chunk)


def _format_of(path: Path, format_: LabelFormat | str | None) -> LabelFormat:
    if format_ is not None:
        return enum_value(LabelFormat, format_)
    if path.suffix.lower() not in _FORMATS:
        raise ArgumentError(
            f"expected a file named .json (Label Studio) or .csv, or a format; got {path.name!r}"
        )
    return _FORMATS[path.suffix.lower()]
