"""What goes to stdout: JSON, or text for people. Everything else goes to stderr."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

M = TypeVar("M", bound=Message)

Json = Annotated[bool, typer.Option("--json", help="Print JSON with the API's field names instead of text.")]

# Files and pipes have no width: a name that is cut off there is lost.
stdout = Console(width=None if sys.stdout.isatty() else 1000)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message with the .proto's field names, including zeros and empty lists."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def write(message: M, as_json: bool, write_text: Callable[[M], None]) -> None:
    """Write a message as JSON, or with `write_text` for people."""
    if as_json:
        write_json(message)
    else:
        write_text(message)


def write_json(value: Message | dict[str, Any]) -> None:
    """Write one line of JSON and flush it: a reader of a stream needs each line as it comes."""
    document = as_dict(value) if isinstance(value, Message) else value
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def write_facts(*facts: tuple[str, object]) -> None:
    """Write names and values, leaving out values that are empty or None."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        if value not in ("", None):
            table.add_row(name, str(value))
    print_lines(table)


def write_table(rows: Sequence[Mapping[str, object]], empty: str = "") -> None:
    """Write rows, each from column to cell, or the text `empty` if there are none.

    The first column, the name, is never wrapped.
    """
    if not rows:
        stdout.print(empty)
        return
    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(rows[0]):
        table.add_column(column, no_wrap=position == 0)
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    print_lines(table)


def print_lines(drawn: Table | Tree) -> None:
    """Print a table or a tree of plain text. In files and pipes, no line ends with spaces."""
    if sys.stdout.isatty():
        stdout.print(drawn, markup=False)
        return
    with stdout.capture() as printed:
        stdout.print(drawn, markup=False)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().removesuffix("\n").split("\n"))
