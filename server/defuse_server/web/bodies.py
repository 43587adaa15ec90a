"""Reads request bodies of pages. They must be small, of the right type, and bear the session's token."""

import json
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from starlette.requests import Request

from defuse_server.errors import InvalidRequest
from defuse_server.web.problems import Forbidden, SignedOut, TooLong
from defuse_server.web.sessions import Session, Sessions

LARGEST_BODY_BYTES: Final = 64 * 1024


async def read_json(request: Request, sessions: Sessions) -> dict[str, Any]:
    """Return the JSON object of a request. Raises `SignedOut`, `Forbidden`, `TooLong`, `InvalidRequest`."""
    await _check_own(request, sessions, request.headers.get("x-csrf-token", ""))
    body = await _read(request, "application/json")
    try:
        content = json.loads(body)
    except ValueError as error:
        raise InvalidRequest([("body", f"expected JSON, got something else: {error}")]) from None
    if not isinstance(content, dict):
        raise InvalidRequest([("body", "expected a JSON object")])
    return cast("dict[str, Any]", content)


async def read_form(request: Request, sessions: Sessions) -> dict[str, str]:
    """Return the fields of a form. Raises `SignedOut`, `Forbidden`, `TooLong`, `InvalidRequest`."""
    body = await _read(request, "application/x-www-form-urlencoded")
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=20, errors="strict"))
    except ValueError:
        raise InvalidRequest([("body", "expected a form in UTF-8")]) from None
    await _check_own(request, sessions, fields.get("csrf", ""))
    return fields


def text_of(content: dict[str, Any], field: str) -> str:
    """Return a text field. Raises `InvalidRequest`."""
    value = content.get(field, "")
    if not isinstance(value, str):
        raise InvalidRequest([(field, f"expected text, got {type(value).__name__}")])
    return value


def texts_of(content: dict[str, Any], field: str, most: int) -> list[str]:
    """Return a list of at most `most` texts. Raises `InvalidRequest`."""
    value: Any = content.get(field, [])
    if not isinstance(value, list) or len(cast("list[Any]", value)) > most:
        raise InvalidRequest([(field, f"expected a list of at most {most} texts")])
    return [text_of({field: entry}, field) for entry in cast("list[Any]", value)]


async def _check_own(request: Request, sessions: Sessions, csrf_token: str) -> None:
    session = cast("Session | None", request.state.session)
    if session is None:
        raise SignedOut("your session has ended: sign in again")
    if not await sessions.is_own(session, csrf_token):
        raise Forbidden("the page belongs to another session: load it again")


async def _read(request: Request, kind: str) -> bytes:
    came = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if came != kind:
        raise InvalidRequest([("content-type", f"expected {kind}, got {came[:100]!r}")])
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY_BYTES:
            raise TooLong(f"expected at most {LARGEST_BODY_BYTES} bytes, got more: shorten the note")
    return bytes(body)
