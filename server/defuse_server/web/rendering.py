"""Renders templates."""

from pathlib import Path
from typing import Any, Final

from starlette.responses import HTMLResponse

from defuse_server.presentation.jinja_environment import environment

_ENVIRONMENT: Final = environment(Path(__file__).parent / "templates")


def page(template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """Return a rendered template as an answer."""
    return HTMLResponse(render(template, **values), status_code)


def render(template: str, **values: Any) -> str:
    """Return a rendered template as text. Values are escaped."""
    return _ENVIRONMENT.get_template(template).render(**values)
