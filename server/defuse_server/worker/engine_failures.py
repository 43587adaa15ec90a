"""The failures of the engine, as the job's owner reads them."""

import uuid
from typing import Any

import structlog
from defuse.v1 import error_reason_pb2 as reasons
from defuse.v1.models_pb2 import Failure

from defuse_server.worker.engine_events import EngineFailure
from defuse_server.worker.engine_process import EngineExit
from defuse_server.worker.job_limits import JobLimits

_log = structlog.get_logger(__name__)


def of_engine(event: EngineFailure, limits: JobLimits) -> Failure:
    """Return the failure that the engine reports. Raises `ValueError` for an unknown reason."""
    reason = f"ERROR_REASON_{event.reason}"
    message = event.message
    if event.reason == "LIMIT_EXCEEDED":
        message += "".join(f" ({limits.settings[name]})" for name in event.figures if name in limits.settings)
    return Failure(reason=reason, message=message, figures=_as_text(dict(event.figures)))


def time_exceeded(limits: JobLimits) -> Failure:
    """Return the failure of an engine that was killed because it did not even report that its time is up."""
    return Failure(
        reason=reasons.ERROR_REASON_LIMIT_EXCEEDED,
        message=f"the job was not done within {limits.wall_s} s: use a smaller model or dataset, or "
        f"grant more time ({limits.settings['wall_s']})",
        figures={"wall_s": str(limits.wall_s)},
    )


def memory_exceeded(resident_bytes: int, limits: JobLimits) -> Failure:
    """Return the failure of an engine that was killed for its resident memory."""
    return Failure(
        reason=reasons.ERROR_REASON_LIMIT_EXCEEDED,
        message=f"the job used {resident_bytes} bytes of memory, and may use {limits.memory_bytes}: use a "
        f"smaller model or dataset, or grant more ({limits.settings['memory_bytes']})",
        figures={"memory_bytes": str(resident_bytes), "limit_bytes": str(limits.memory_bytes)},
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
