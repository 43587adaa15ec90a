"""Jinja's environment of pages and HTML reports."""

from pathlib import Path
from typing import Any, Final, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from defuse_server.presentation.formatting import count, moment, percent, short, small

FOLDER: Final = Path(__file__).parent / "templates"


def environment(folder: Path) -> Environment:
    """Of the templates in `folder`, and of those here; everything that is put in is escaped as HTML."""
    made = Environment(
        loader=FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(percent=percent, small=small, moment=moment, short=short)
    cast("dict[str, Any]", made.globals)["count"] = count
    return made
