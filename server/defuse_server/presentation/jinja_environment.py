"""The Jinja environment of the pages and of the HTML report."""

from pathlib import Path
from typing import Any, Final, cast

from defuse.frozen_labels import unsettled
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from defuse_server.presentation.formatting import (
    count,
    moment,
    per_million,
    percent,
    share_of_all,
    short,
    small,
)

FOLDER: Final = Path(__file__).parent / "templates"


def environment(folder: Path) -> Environment:
    """Return an environment of the templates in `folder` and of those here. Values are escaped as HTML."""
    made = Environment(
        loader=FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(percent=percent, per_million=per_million, small=small, moment=moment, short=short)
    made.filters["share_of_all"] = share_of_all
    cast("dict[str, Any]", made.globals).update(count=count, unsettled=unsettled)
    return made
