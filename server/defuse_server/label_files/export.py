"""Exports an audit's regions as a file of tasks."""

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Region
from defuse.v1.label_service_pb2 import ExportLabelTasksHeader, LabelFormat

from defuse_server.backend import Backend
from defuse_server.label_files import csv_file, label_studio
from defuse_server.label_files.answer_words import Choices, choices_of
from defuse_server.labels.region_label import NOT_OPENED, OPEN_STATES
from defuse_server.names import artifact_sha256, region_number

_READ_BATCH = 100


@dataclass(frozen=True)
class LabelExport:
    """A file of tasks. Its bytes are made as they are read."""

    header: ExportLabelTasksHeader
    pieces: AsyncIterator[bytes]


async def export(
    backend: Backend, audit: str, format_: LabelFormat, image_base_url: str, *, include_closed: bool
) -> LabelExport:
    """Export the open regions, or all. Raises `NotFound` (the audit; while reading, a picture)."""
    choices = await choices_of(backend, audit)
    labels = await backend.labeling.labels(audit)
    numbers = [
        number
        for number in range(await backend.regions.count(audit))
        if include_closed or labels.get(number, NOT_OPENED).state in OPEN_STATES
    ]
    header, regions = ExportLabelTasksHeader(task_count=len(numbers)), _regions(backend, audit, numbers)
    if format_ == LabelFormat.LABEL_FORMAT_CSV:
        image = _url(image_base_url) if image_base_url else _artifact
        return LabelExport(header, _table(regions, image, choices))
    header.labeling_config = label_studio.labeling_config(choices)
    return LabelExport(header, _list(backend, regions, image_base_url))


async def _regions(backend: Backend, audit: str, numbers: list[int]) -> AsyncIterator[Region]:
    wanted = set(numbers)
    for first in sorted({number - number % _READ_BATCH for number in numbers}):
        for region in await backend.regions.range(audit, first, _READ_BATCH):
            if region_number(region.name) in wanted:
                yield region


async def _table(
    regions: AsyncIterator[Region], image: Callable[[Region], str], choices: Choices
) -> AsyncIterator[bytes]:
    # The byte order mark tells spreadsheets that the file is in UTF-8.
    yield ("\ufeff" + csv_file.header()).encode()
    async for region in regions:
        yield csv_file.task(region, image(region), choices).encode()


async def _list(
    backend: Backend, regions: AsyncIterator[Region], image_base_url: str
) -> AsyncIterator[bytes]:
    between = "[\n"
    async for region in regions:
        image = _url(image_base_url)(region) if image_base_url else await _embedded(backend, region)
        yield (between + label_studio.task(region, image)).encode()
        between = ",\n"
    yield b"\n]\n" if between == ",\n" else b"[]\n"


async def _embedded(backend: Backend, region: Region) -> str:
    png = await backend.store.read(artifact_sha256(region.sheet.artifact))
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _url(base: str) -> Callable[[Region], str]:
    return lambda region: f"{base.rstrip('/')}/{artifact_sha256(region.sheet.artifact)}.png"


def _artifact(region: Region) -> str:
    return region.sheet.artifact
