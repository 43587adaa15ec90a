"""StatusService."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from defuse.v1 import status_service_pb2 as pb
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation
from google.protobuf.duration_pb2 import Duration

from defuse_server.backend import Backend
from defuse_server.jobs.workers import LivingWorker
from defuse_server.monitoring.overview import QueuedKind, RunningJob, overview
from defuse_server.monitoring.readiness import problem

_RUNNING: Final = 100
_LABELINGS: Final = 20
_VERDICTS: Final = 5


class StatusService:
    """Tells how the service is; see status_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def get_service_status(self, _request: pb.GetServiceStatusRequest) -> pb.ServiceStatus:
        """Return the state of the service at a glance."""
        seen = await overview(self._backend)
        jobs: dict[str, list[str]] = {}
        for job in seen.running:
            jobs.setdefault(job.worker, []).append(job.name)
        status = pb.ServiceStatus(
            version=version("defuse-audit"),
            store_problem=await problem(self._backend.store.probe()),
            workers=[_worker(worker, jobs.get(worker.name, [])) for worker in seen.workers],
            queues=[_queue(queued) for queued in seen.queued],
            awaiting_audit_count=seen.awaiting_audit,
            running_jobs=[_running(job) for job in seen.running[:_RUNNING]],
            open_labelings=[
                pb.OpenLabeling(audit=one.audit, open_task_count=one.tasks)
                for one in seen.labelings[:_LABELINGS]
            ],
            open_label_task_count=sum(one.tasks for one in seen.labelings),
            last_verdicts=await self._last_verdicts(),
        )
        status.time.FromDatetime(seen.time)
        return status

    async def _last_verdicts(self) -> list[pb.LastVerdict]:
        # Those that succeeded have a verdict, whatever it is.
        decided, _ = await self._backend.resources.list(
            Evaluation, _VERDICTS, "", JobState.JOB_STATE_SUCCEEDED
        )
        return [
            pb.LastVerdict(
                evaluation=one.name,
                display_name=one.display_name,
                candidate=one.candidate,
                verdict=one.verdict,
                end_time=one.times.end_time,
            )
            for one in decided
        ]


def _worker(worker: LivingWorker, jobs: Sequence[str]) -> pb.WorkerStatus:
    return pb.WorkerStatus(worker=worker.name, heartbeat_age=_duration(worker.silent_s), jobs=jobs)


def _queue(queued: QueuedKind) -> pb.QueueStatus:
    return pb.QueueStatus(kind=queued.kind, count=queued.count, oldest_age=_duration(queued.oldest_s))


def _running(job: RunningJob) -> pb.RunningJob:
    shown = pb.RunningJob(name=job.name, worker=job.worker, progress=job.progress)
    shown.progress.attempt = job.attempt
    shown.progress.heartbeat_age.CopyFrom(_duration(job.silent_s))
    shown.running_time.CopyFrom(_duration(job.running_s))
    return shown


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration
