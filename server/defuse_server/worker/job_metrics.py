"""Metrics of a worker: its jobs, what its searches find, its engine's memory, and the machine's GPUs."""

from typing import Final

from defuse.v1.error_reason_pb2 import ErrorReason
from defuse.v1.models_pb2 import Failure
from defuse.v1.promotion_service_pb2 import Evaluation, Verdict
from google.protobuf.message import Message
from prometheus_client import Counter, Gauge, Histogram

from defuse_server.host.metrics import REGISTRY
from defuse_server.names import collection_of
from defuse_server.records.kinds import KINDS
from defuse_server.worker import engine_process
from defuse_server.worker.gpus import GpuCollector

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
HANDED_ON: Final = "handed_on"
FENCED: Final = "fenced"
"""The job went to another worker, ended elsewhere or was deleted."""

_ENDED: Final = Counter(
    "defuse_jobs_ended_total",
    "Attempts at jobs that this worker ended, by kind of job and end: succeeded, failed, cancelled, "
    "handed_on (the worker stopped), fenced (another worker has the job).",
    ["kind", "end"],
    registry=REGISTRY,
)
_FAILURES: Final = Counter(
    "defuse_job_failures_total",
    "Jobs that this worker ended as failed, by kind and reason (ErrorReason).",
    ["kind", "reason"],
    registry=REGISTRY,
)
_SECONDS: Final = Histogram(
    "defuse_job_seconds",
    "Time from a claim of a job to its end by this worker, in seconds, by kind.",
    ["kind"],
    buckets=(1, 3, 10, 30, 60, 180, 600, 1800, 3600, 3 * 3600, 10 * 3600, 24 * 3600),
    registry=REGISTRY,
)
_VERDICTS: Final = Counter(
    "defuse_verdicts_total",
    "Evaluations that this worker decided, by verdict.",
    ["verdict"],
    registry=REGISTRY,
)
_CANDIDATES: Final = Counter(
    "defuse_candidates_total", "Candidates of searches that this worker published.", registry=REGISTRY
)
_MISCLASSIFICATIONS: Final = Counter(
    "defuse_misclassifications_total",
    "Misclassifications that this worker published. Over defuse_candidates_total, this is a search's yield.",
    registry=REGISTRY,
)
_ENGINE_BYTES: Final = Gauge(
    "defuse_engine_resident_memory_bytes",
    "Resident memory of the engine and its children; 0 while no job runs.",
    registry=REGISTRY,
)
_ENGINE_BYTES.set_function(engine_process.resident_bytes)
REGISTRY.register(GpuCollector())

# From the start, so that the first end of each kind, and the first failure that is the operator's concern,
# shows as an increase.
for _kind in KINDS:
    for _end in (SUCCEEDED, FAILED, CANCELLED, HANDED_ON, FENCED):
        _ENDED.labels(_kind.collection, _end)
    for _reason in ("INTERNAL", "ENGINE_CRASHED", "LIMIT_EXCEEDED", "WORKER_DIED"):
        _FAILURES.labels(_kind.collection, _reason)


def count_end(job: str, end: str, seconds: float) -> None:
    """Count the end of an attempt at a job after `seconds`. `job` is its name."""
    kind = collection_of(job)
    _ENDED.labels(kind, end).inc()
    _SECONDS.labels(kind).observe(seconds)


def count_failure(job: str, failure: Failure) -> None:
    """Count a failure by its reason."""
    reason = ErrorReason.Name(failure.reason).removeprefix("ERROR_REASON_")
    _FAILURES.labels(collection_of(job), reason).inc()


def count_verdict(message: Message) -> None:
    """Count the verdict of an evaluation that succeeded. Does nothing for other jobs."""
    if isinstance(message, Evaluation):
        _VERDICTS.labels(Verdict.Name(message.verdict).removeprefix("VERDICT_")).inc()


def count_found(candidates: int, misclassifications: int) -> None:
    """Count a shard that was published for the first time."""
    _CANDIDATES.inc(candidates)
    _MISCLASSIFICATIONS.inc(misclassifications)
