"""The failures of the engine, as the job's owner reads them."""

import uuid
from typing import Any

import structlog
from defuse.v1 import error_reason_pb2 as reasons
from defuse.v1.models_pb2 import Failure

from defuse_server.worker.engine_events import EngineFailure
from defuse_server.worker.engine_process import EngineExit

_log = structlog.get_logger(__name__)


def of_engine(event: EngineFailure) -> Failure:
    """Return the failure that the engine reports. Raises `ValueError` for an unknown reason."""
    reason = f"ERROR_REASON_{event.reason}"
    return Failure(reason=reason, message=event.message, figures=_as_text(dict(event.figures)))


def memory_exceeded(resident_bytes: int, limit_bytes: int) -> Failure:
    """Return the failure of an engine that was killed for its resident memory."""
    return Failure(
        reason=reasons.ERROR_REASON_LIMIT_EXCEEDED,
        message=f"the job used {resident_bytes} bytes of memory, and may use {limit_bytes}: try a smaller "
        "model or dataset, or a server with a higher DEFUSE_JOB_MEMORY_BYTES",
        figures={"memory_bytes": str(resident_bytes), "limit_bytes": str(limit_bytes)},
    )


def crashed(ended: EngineExit, what: str) -> Failure:
    """Return the failure of an engine without an answer, and log its standard error under an incident id."""
    incident = uuid.uuid4().hex
    _log.error("engine.crashed", incident=incident, what=what, status=ended.status, stderr=ended.stderr_tail)
    return Failure(
        reason=reasons.ERROR_REASON_ENGINE_CRASHED,
        message=f"the engine ended without an answer: the worker's log has more under incident {incident}",
        figures={"incident": incident, "status": str(ended.status)},
    )


def _as_text(figures: dict[str, Any]) -> dict[str, str]:
    return {
        name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in figures.items()
    }
