"""A resource's hash in Redis, read as the message that Get shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from defuse.v1.audit_service_pb2 import Audit, RegionSplit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.models_pb2 import Failure, JobState, Progress
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae, VaeTraining

from defuse_server.records.kinds import kind_of

Resource = Classifier | Vae | Dataset | Audit | RegionSplit | Correction | Evaluation | VaeTraining
R = TypeVar("R", Classifier, Vae, Dataset, Audit, Correction, Evaluation, VaeTraining)
"""A kind of resource that callers create."""
Job = Audit | RegionSplit | Correction | Evaluation | VaeTraining

JOB_RECORD = Path(__file__).with_name("job_record.lua")
"""The beginning of every script that works on the record of a job."""
QUEUE_SHOWN: Final = 20
_WORKED_ON = (JobState.JOB_STATE_RUNNING, JobState.JOB_STATE_CANCELLING)
_COUNTS = ("candidate_count", "misclassification_count", "seed_count", "region_count")


@dataclass(frozen=True)
class Record:
    """A resource, and what only the service needs to know about it."""

    resource: Resource
    revision: int
    is_final: bool


@dataclass(frozen=True)
class Queue:
    """The queue of long jobs and region splits, as all of them see it."""

    running: Sequence[str]
    """Those that workers are at; at most `QUEUE_SHOWN`."""
    first: Sequence[str]
    """Those that wait, in their order; at most `QUEUE_SHOWN`."""


def read_record(
    name: str, fields: Mapping[bytes, bytes], now_ms: int, queue: Queue, queue_position: int
) -> Record:
    """Make a record from its hash's fields (see redis_keys), the Redis time and its place in the queue."""
    kind = kind_of(name)
    resource = cast("Any", kind.message_type.FromString(fields[b"body"]))
    resource.name = name
    resource.state = int(fields[b"state"])
    if failure := fields.get(b"failure"):
        resource.failure.CopyFrom(Failure.FromString(failure))
    if kind.is_job:
        _show_times(resource, fields)
        _show_progress(resource, fields, now_ms)
        if resource.state == JobState.JOB_STATE_QUEUED:
            _show_wait(resource, fields, queue, queue_position)
    else:
        resource.create_time.FromMilliseconds(int(fields[b"create_ms"]))
    if isinstance(resource, Audit):
        for count in _COUNTS:
            if value := fields.get(count.encode()):
                # The result has the whole: chunks of older servers did not count their seeds.
                setattr(resource, count, max(getattr(resource, count), int(value)))
    return Record(
        resource=cast("Resource", resource),
        revision=int(fields[b"revision"]),
        is_final=resource.state in kind.states.final,
    )


def awaits_audit(evaluation: Evaluation) -> bool:
    """Whether an evaluation waits for an audit that was made for it."""
    waits = evaluation.state == JobState.JOB_STATE_QUEUED
    return waits and evaluation.audit_created and not evaluation.input_digest


def _show_times(job: Job, fields: Mapping[bytes, bytes]) -> None:
    for moment in ("create", "start", "end"):
        if value := fields.get(f"{moment}_ms".encode()):
            getattr(job.times, f"{moment}_time").FromMilliseconds(int(value))


def _show_wait(job: Job, fields: Mapping[bytes, bytes], queue: Queue, queue_position: int) -> None:
    if isinstance(job, Evaluation) and awaits_audit(job):
        job.progress.stage = "audit"
        return
    job.progress.queue_position = queue_position
    job.progress.jobs_before.extend([*queue.running, *queue.first[:queue_position]])
    # Evaluations that waited for their audit before have a time of their own.
    waiting_ms = fields.get(b"queue_ms") or fields[b"create_ms"]
    job.progress.waiting_since.FromMilliseconds(int(waiting_ms))


def _show_progress(job: Job, fields: Mapping[bytes, bytes], now_ms: int) -> None:
    job.progress.CopyFrom(Progress.FromString(fields.get(b"progress", b"")))
    job.progress.attempt = int(fields[b"attempt"])
    heartbeat = fields.get(b"heartbeat_ms")
    if heartbeat and job.state in _WORKED_ON:
        job.progress.heartbeat_age.FromMilliseconds(max(0, now_ms - int(heartbeat)))
