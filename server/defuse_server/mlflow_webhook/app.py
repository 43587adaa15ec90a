"""Receives MLflow's webhooks. MLflow gets 202 only once the event can no longer be lost."""

import json
import time
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.mlflow_webhook import signature
from defuse_server.mlflow_webhook.inbox import Event, Inbox

PATH: Final = "/webhooks/mlflow"
LARGEST_BODY_BYTES: Final = 1 << 20
_LONGEST_NAME: Final = 1000

_log = structlog.get_logger(__name__)


def create_app(inbox: Inbox, secret: str) -> Starlette:
    """Return the receiver of webhooks that are signed with `secret`."""

    async def receive(request: Request) -> Response:
        try:
            return await _received(request, inbox, secret)
        except HTTPException as refused:
            _log.warning("webhook.refused", status=refused.status_code, reason=refused.detail)
            return JSONResponse({"error": refused.detail}, refused.status_code)

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route(PATH, receive, methods=["POST"]), Route("/healthz", healthy)])


async def _received(request: Request, inbox: Inbox, secret: str) -> Response:
    body = await _read(request)
    try:
        delivery = signature.check(secret, request.headers, body, now_s=time.time())
    except signature.Unsigned as unsigned:
        raise HTTPException(401, str(unsigned)) from None
    event = _parsed(body)
    if event is None:
        return JSONResponse({"status": "ignored: only model_version.created is gated"})
    try:
        accepted = await inbox.accept(delivery, event)
    except UNREACHABLE:
        # MLflow sends it again with the same id, which was not accepted yet.
        raise HTTPException(503, "the store of events can't be reached: send it again") from None
    if not accepted:
        raise HTTPException(400, f"the delivery {delivery} came before: nothing was started again")
    _log.info("webhook.accepted", delivery=delivery, model=event.model, version=event.version)
    return JSONResponse({"status": "accepted"}, 202)


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY_BYTES:
            raise HTTPException(413, f"expected at most {LARGEST_BODY_BYTES} bytes, got more")
    return bytes(body)


def _parsed(body: bytes) -> Event | None:
    """Return the version that was created, or None for other events."""
    try:
        content: Any = json.loads(body)
        if (content["entity"], content["action"]) != ("model_version", "created"):
            return None
        model, version = content["data"]["name"], content["data"]["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise HTTPException(400, f"expected an event from MLflow, got something else: {error!r}") from None
    for name in (model, version):
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
            raise HTTPException(400, "expected data.name and data.version as text")
    return Event(model, version)
