"""The failures of jobs, as their owners read them. Details for operators go to the log."""

import uuid

import structlog
from defuse.v1 import error_reason_pb2 as reasons
from defuse.v1.models_pb2 import Failure, Progress

from defuse_server.errors import DefuseError

_log = structlog.get_logger(__name__)


def of_error(error: Exception) -> Failure:
    """Return the failure for what a job needed and lacks, or else for a fault of the service (logged)."""
    if isinstance(error, DefuseError):
        return Failure(reason=error.reason, message=error.message, figures=error.figures)
    incident = uuid.uuid4().hex
    _log.error("job.failed", incident=incident, exc_info=error)
    return Failure(
        reason=reasons.ERROR_REASON_INTERNAL,
        message=f"unexpected error: the worker's log has it under incident {incident}",
        figures={"incident": incident},
    )


def worker_died(deaths: int, last: Progress) -> Failure:
    """Return the failure for a job whose workers died `deaths` times. `last` is the last progress."""
    of_all = f" of {last.total}" if last.total else ""
    where = f"in stage {last.stage} at {last.done}{of_all} {last.unit}" if last.stage else "at its start"
    return Failure(
        reason=reasons.ERROR_REASON_WORKER_DIED,
        message=f"the job's worker died {deaths} times, last {where}: look into the workers' logs; most "
        "likely their machines ran out of memory",
        figures={
            "deaths": str(deaths),
            "stage": last.stage,
            "done": str(last.done),
            "total": str(last.total),
        },
    )
