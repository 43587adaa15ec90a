"""What goes to stdout: JSON, or text for people; stderr takes all else."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON, with the API's field names.")]

# Files and pipes have no width: a name that is cut off there is lost.
people = Console(width=None if sys.stdout.isatty() else 250)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message with the .proto's field names; zeros and empty lists are there too."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def write_json(value: Message | dict[str, Any]) -> None:
    """Write one line of JSON, at once: whoever reads a stream wants each line as it comes."""
    document = as_dict(value) if isinstance(value, Message) else value
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def write_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Write names and values, leaving out what is empty."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        if value not in ("", None):
            table.add_row(name, str(value))
    people.print(table, markup=False)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Write a table, or what to say instead of an empty one. The first column, the name, stays whole."""
    if not rows:
        people.print(empty)
        return
    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, no_wrap=position == 0)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    people.print(table)


def when(time: Timestamp) -> str:
    """Return a moment in local time; empty where it is unset."""
    if not time.seconds:
        return ""
    moment: datetime = time.ToDatetime(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(duration: Duration) -> str:
    """Return a time span for people, such as `1 min 20 s`."""
    return seconds(duration.ToTimedelta().total_seconds())


def seconds(count: float) -> str:
    """Return a number of seconds for people."""
    whole = round(count)
    if whole < 60:
        return f"{count:.1f} s" if count < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def change(value: float) -> str:
    """Return a change of a share, -1..1, as per cent with its sign."""
    return f"{100 * value:+.1f}%"


def share(value: float) -> str:
    """Return a share in 0..1 as per cent."""
    return f"{100 * value:.1f}%"
