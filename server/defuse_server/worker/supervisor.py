"""The supervisor: runs one job from its claim to its end."""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from defuse.v1.models_pb2 import Failure, Progress

from defuse_server.backend import Backend
from defuse_server.errors import BackendUnavailable, Fenced, NotFound
from defuse_server.evidence.signing_key import Signer
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.jobs import failures
from defuse_server.names import REGION_SPLITS, audit_of_region_split, collection_of
from defuse_server.worker import engine_events, engine_failures, job_metrics
from defuse_server.worker.audit import AuditWork
from defuse_server.worker.correction import CorrectionWork
from defuse_server.worker.engine_process import EngineProcess, running_engine
from defuse_server.worker.evaluation import EvaluationWork
from defuse_server.worker.fence import DEATHS_MAX, Attempt, CancelRequested, Claim, Fence, Outcome
from defuse_server.worker.inspection import ClassifierInspection, DatasetInspection, VaeInspection
from defuse_server.worker.job_folder import build_folder
from defuse_server.worker.job_limits import JobLimits
from defuse_server.worker.patience import patiently
from defuse_server.worker.region_split import RegionSplitWork
from defuse_server.worker.vae_training import VaeTrainingWork
from defuse_server.worker.work import JobRefused, Work

HEARTBEAT_S = 0.5
"""Interval of a worker's heartbeats, which also tell it whether its job was cancelled."""

_WORK: Final[Mapping[str, type[Work[Any]]]] = {
    "classifiers": ClassifierInspection,
    "vaes": VaeInspection,
    "datasets": DatasetInspection,
    "audits": AuditWork,
    "corrections": CorrectionWork,
    "evaluations": EvaluationWork,
    "vaeTrainings": VaeTrainingWork,
    REGION_SPLITS: RegionSplitWork,
}
_log = structlog.get_logger(__name__)


class _Stopping(Exception):
    """The worker shuts down, and another one goes on with the job."""


class Supervisor:
    """Runs jobs for one worker: claims them, supervises their engines, and publishes their results."""

    def __init__(self, backend: Backend, fence: Fence, work_folder: Path, signer: "Signer | None" = None):
        self.signer = signer
        """Signs evidence; None if the operator gave no key."""
        self._backend = backend
        self._fence = fence
        self._work_folder = work_folder
        self._running: set[str] = set()
        self.stopping = asyncio.Event()
        """Set it to stop the engines, and to hand their jobs on."""

    async def run(self, name: str) -> bool:
        """Run a job from its claim to its end. Returns False if it has ended, or if somebody else has it."""
        if name in self._running:
            return False
        self._running.add(name)
        try:
            claim = await self._fence.claim(name)
            if claim.attempt is not None:
                await self._run(claim, claim.attempt)
            return claim.attempt is not None
        finally:
            self._running.discard(name)

    async def _run(self, claim: Claim, attempt: Attempt) -> None:
        context = {"job": attempt.name, "attempt": attempt.number, **await self._audit_of(attempt.name)}
        with structlog.contextvars.bound_contextvars(**context):
            _log.info("job.claimed", deaths=claim.deaths)
            start_s = time.monotonic()
            try:
                end = await self._attempt(claim, attempt)
            except (Fenced, NotFound):
                # Another worker has the job, or it ended or was deleted. This attempt's results are void.
                _log.warning("job.fenced")
                end = job_metrics.FENCED
            job_metrics.count_end(attempt.name, end, time.monotonic() - start_s)

    async def _audit_of(self, name: str) -> dict[str, str]:
        """Return the audit that a job is about as `audit`, for the log, or nothing."""
        if collection_of(name) == "audits":
            return {"audit": name}
        if collection_of(name) == REGION_SPLITS:
            return {"audit": audit_of_region_split(name)}
        try:
            audit = getattr(await patiently(lambda: self._backend.resources.get(name)), "audit", "")
        except NotFound:
            audit = ""
        return {"audit": audit} if audit else {}

    async def _attempt(self, claim: Claim, attempt: Attempt) -> str:
        """Run an attempt, and return how it ended, as job_metrics names it."""
        message = await self._backend.resources.get(attempt.name)
        kind: Any = _WORK[collection_of(attempt.name)]
        work: Work[Any] = kind(message, attempt, self._backend, self)
        try:
            if claim.outcome is Outcome.CANCELLING:
                raise CancelRequested(attempt.name)
            failure = await self._failure(work, claim.deaths)
            if failure is None:
                await patiently(lambda: attempt.succeed(work.message))
                job_metrics.count_verdict(work.message)
            else:
                await patiently(lambda: work.give_up(failure))
                await patiently(lambda: attempt.fail(work.message, failure))
                job_metrics.count_failure(attempt.name, failure)
            _log.info("job.ended", failure=failure.message if failure else None)
        except CancelRequested:
            await patiently(lambda: attempt.end_cancelled(work.message))
            _log.info("job.cancelled")
            return job_metrics.CANCELLED
        except _Stopping:
            await attempt.release()
            await self._backend.jobs.announce()
            _log.info("job.handed_on")
            return job_metrics.HANDED_ON
        return job_metrics.FAILED if failure else job_metrics.SUCCEEDED

    async def _failure(self, work: Work[Any], deaths: int) -> Failure | None:
        """Do the work. Returns why it has no result, or None if it has one."""
        if deaths >= DEATHS_MAX:
            return failures.worker_died(deaths, getattr(work.message, "progress", Progress()))
        try:
            await self._watched(work.attempt, self._compute(work))
        except JobRefused as refusal:
            return refusal.failure
        except (*UNREACHABLE, BackendUnavailable, Fenced, CancelRequested, _Stopping):
            raise
        except Exception as error:
            return failures.of_error(error)
        return None

    async def _watched(self, attempt: Attempt, computation: Coroutine[Any, Any, None]) -> None:
        """Await a computation, or end it once the job is lost or cancelled or the worker stops."""
        tasks = [
            asyncio.ensure_future(computation),
            asyncio.ensure_future(_beat(attempt)),
            asyncio.ensure_future(self._until_stopping()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    return task.result()
        finally:
            work, *helpers = tasks
            # The engine is gone only when its task has ended. A second cancellation would cut its stop short.
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            # The heartbeat may be inside a command, which can swallow one cancellation.
            await cancel_and_wait(*helpers)

    async def _until_stopping(self) -> None:
        await self.stopping.wait()
        raise _Stopping

    async def _compute(self, work: Work[Any]) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._work_folder))
        try:
            settings = self._backend.settings
            plan = await patiently(work.plan)
            if plan is None:
                return
            limits = await patiently(lambda: build_folder(folder, plan, self._backend.store, settings))
            async with running_engine(
                folder,
                memory_limit_bytes=limits.memory_bytes,
                time_limit_s=limits.wall_s,
                threads=settings.threads,
            ) as engine:
                await self._follow(engine, work, folder, limits)
            result = json.loads((folder / "output" / "result.json").read_text())
            await patiently(lambda: work.conclude(result, folder))
        finally:
            # Not on a thread: this must also happen while the loop is shutting down.
            shutil.rmtree(folder, ignore_errors=True)

    async def _follow(self, engine: EngineProcess, work: Work[Any], folder: Path, limits: JobLimits) -> None:
        """Publish the engine's events until it ends. Raises `JobRefused` if it ends without a result."""
        last: engine_events.EngineEvent | None = None
        broken = ""
        try:
            async for event in engine.events():
                last = event
                await patiently(lambda event=event: _take(event, work, folder))
                _end_if_cancelled()
        except engine_events.UnreadableLine as error:
            broken = str(error)
            await engine.stop()
        ended = await engine.exit()
        if ended.memory_exceeded_bytes is not None:
            raise JobRefused(engine_failures.memory_exceeded(ended.memory_exceeded_bytes, limits))
        if isinstance(last, engine_events.EngineFailure) and not broken:
            raise JobRefused(engine_failures.of_engine(last, limits))
        if ended.is_late:
            raise JobRefused(engine_failures.time_exceeded(limits))
        if not isinstance(last, engine_events.ResultReady) or ended.status != 0 or broken:
            raise JobRefused(engine_failures.crashed(ended, broken or "no result"))


def _end_if_cancelled() -> None:
    """End this task if it was cancelled inside a command of the Redis client, which can swallow that.

    Without this the engine of a cancelled job would go on to its end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _beat(attempt: Attempt) -> None:
    while True:
        await patiently(attempt.heartbeat)
        await asyncio.sleep(HEARTBEAT_S)


async def _take(event: engine_events.EngineEvent, work: Work[Any], folder: Path) -> None:
    match event:
        case engine_events.StageProgress():
            await work.attempt.progress(_progress(event))
        case engine_events.Preflight():
            await work.on_preflight(event)
        case engine_events.EngineWarning():
            await work.on_warning(event)
        case engine_events.ChunkReady():
            await work.on_chunk(event, folder)
        case engine_events.ResultReady() | engine_events.EngineFailure():
            pass


def _progress(event: engine_events.StageProgress) -> Progress:
    progress = Progress(**vars(event))
    if event.rate_per_s > 0 and event.total > 0:
        remaining_s = max(0, event.total - event.done) / event.rate_per_s
        progress.estimated_remaining.FromMilliseconds(int(remaining_s * 1000))
    return progress
