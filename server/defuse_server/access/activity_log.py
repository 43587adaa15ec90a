"""The log of who did what: one line for each call that changes something, or would have."""

import logging
from typing import Any, Final

import grpc
import structlog

from defuse_server.access.caller import Caller
from defuse_server.access.roles import CHANGES
from defuse_server.host.log import ACCESS_LOGGER

_FIELDS: Final = ("name", "region", "audit", "upload")
"""Fields of requests that name what a call is about, in this order."""

_log = structlog.get_logger(ACCESS_LOGGER)


def log_call(rpc: str, caller: Caller | None, code: grpc.StatusCode, peer: str, resource: str = "") -> None:
    """Write the line of a call, if the RPC changes something. `caller` is None if it is unknown."""
    if rpc not in CHANGES:
        return
    _log.log(
        logging.INFO if code is grpc.StatusCode.OK else logging.WARNING,
        "call",
        rpc=rpc,
        subject=caller.subject if caller else "",
        credential=caller.credential if caller else "",
        roles=sorted(caller.roles) if caller else [],
        resource=resource,
        code=code.name,
        peer=peer,
    )


def resource_of(*messages: Any) -> str:
    """Return the name of the resource that the first of these messages is about, at most 200 characters."""
    named = (getattr(message, field, "") for message in messages for field in _FIELDS)
    return next((name for name in named if isinstance(name, str) and name), "")[:200]
