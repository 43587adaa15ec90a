"""Templates, and how figures are written in them."""

import datetime
from pathlib import Path
from typing import Any, Final, cast

from google.protobuf.timestamp_pb2 import Timestamp
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

_FOLDER: Final = Path(__file__).parent / "templates"


def page(template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """A template as an answer."""
    return HTMLResponse(render(template, **values), status_code)


def render(template: str, **values: Any) -> str:
    """A template as text; everything that is put in is escaped."""
    return _ENVIRONMENT.get_template(template).render(**values)


def percent(share: float, digits: int = 1) -> str:
    """A share in 0..1, such as 97.3 %."""
    return f"{share:.{digits}%}".replace("%", "\N{NARROW NO-BREAK SPACE}%")


def small(value: float) -> str:
    """A number of any magnitude in three digits."""
    return f"{value:.3g}"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(time: Timestamp) -> str:
    """A time to the minute, UTC; empty where it is unset."""
    if not time.seconds:
        return ""
    return time.ToDatetime(tzinfo=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def short(name: str) -> str:
    """The id in a resource's name."""
    return name.rpartition("/")[2]


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(percent=percent, small=small, moment=moment, short=short)
cast("dict[str, Any]", _ENVIRONMENT.globals)["count"] = count
