"""Logs one JSON object per line to standard error."""

import logging
import os
import sys
from types import TracebackType
from typing import Final

import structlog

ACCESS_LOGGER: Final = "defuse_server.access"
"""Logger of who did what. Its lines are written at every level of the settings."""

_TALKATIVE: Final = ("uvicorn",)
"""Libraries that tell at level info, in words of their own, what the service tells in its events."""


def configure(level: str) -> None:
    """Send all log lines from `level` up (`debug`, `info`, `warning`, `error`) to standard error as JSON.

    What libraries log goes there, too, and so do Python's warnings and an error that ends the process. The
    talkative ones are heard from `warning` up, unless the level is `debug`.
    """
    # gRPC's core writes lines that are no JSON, one for each client that fails to shake hands, for example.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    logging.getLogger(ACCESS_LOGGER).setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    structlog.get_logger(__name__).critical("process.failed", exc_info=(kind, error, traceback))
