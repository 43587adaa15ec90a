"""Exports an audit's label tasks as a file."""

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from defuse.v1.label_service_pb2 import ExportLabelTasksHeader, LabelFormat

from defuse_server.backend import Backend
from defuse_server.label_files import csv_file, label_studio
from defuse_server.label_files.answer_words import Choices, choices_of
from defuse_server.labels.region_label import OPEN_STATES
from defuse_server.labels.task_contents import Shown
from defuse_server.names import artifact_sha256

_READ_BATCH = 100


@dataclass(frozen=True)
class LabelExport:
    """A file of tasks. Its bytes are made as they are read."""

    header: ExportLabelTasksHeader
    pieces: AsyncIterator[bytes]


async def export(
    backend: Backend, audit: str, format_: LabelFormat, image_base_url: str, *, include_closed: bool
) -> LabelExport:
    """Export the open tasks, or all. Raises `NotFound` (the audit; while reading, a picture)."""
    choices = await choices_of(backend, audit)
    states = await backend.labeling.task_states(audit)
    numbers = sorted(
        number for number, label in states.items() if include_closed or label.state in OPEN_STATES
    )
    header, tasks = ExportLabelTasksHeader(task_count=len(numbers)), _tasks(backend, audit, numbers)
    if format_ == LabelFormat.LABEL_FORMAT_CSV:
        image = _url(image_base_url) if image_base_url else _artifact
        return LabelExport(header, _table(tasks, image, choices))
    header.labeling_config = label_studio.labeling_config(choices)
    return LabelExport(header, _list(backend, tasks, image_base_url))


async def _tasks(backend: Backend, audit: str, numbers: list[int]) -> AsyncIterator[Shown]:
    for first in range(0, len(numbers), _READ_BATCH):
        for shown in await backend.labeling.shown(audit, numbers[first : first + _READ_BATCH]):
            yield shown


async def _table(
    tasks: AsyncIterator[Shown], image: Callable[[Shown], str], choices: Choices
) -> AsyncIterator[bytes]:
    # The byte order mark tells spreadsheets that the file is in UTF-8.
    yield ("\ufeff" + csv_file.header()).encode()
    async for shown in tasks:
        yield csv_file.task(shown, image(shown), choices).encode()


async def _list(backend: Backend, tasks: AsyncIterator[Shown], image_base_url: str) -> AsyncIterator[bytes]:
    between = "[\n"
    async for shown in tasks:
        image = _url(image_base_url)(shown) if image_base_url else await _embedded(backend, shown)
        yield (between + label_studio.task(shown, image)).encode()
        between = ",\n"
    yield b"\n]\n" if between == ",\n" else b"[]\n"


async def _embedded(backend: Backend, shown: Shown) -> str:
    png = await backend.store.read(artifact_sha256(shown.sheet.artifact))
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _url(base: str) -> Callable[[Shown], str]:
    return lambda shown: f"{base.rstrip('/')}/{artifact_sha256(shown.sheet.artifact)}.png"


def _artifact(shown: Shown) -> str:
    return shown.sheet.artifact
