"""The worker process: runs jobs from the queue until SIGTERM or SIGINT."""

import asyncio
import contextlib
import os
import shutil
import socket
from datetime import timedelta

import structlog
from docket import Worker

from defuse_server.backend import Backend, open_backend
from defuse_server.evaluations.wait_for_audit import keep_settling
from defuse_server.evaluations.worker_identity import publish_worker_identity
from defuse_server.evidence import signing_key
from defuse_server.evidence.signing_key import Signer
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.host.settings import Settings
from defuse_server.host.stop_event import on_stop
from defuse_server.jobs.queue import TASK
from defuse_server.labels.estimate_consensus import keep_estimating
from defuse_server.monitoring.metrics_server import MetricsServer
from defuse_server.worker.fence import Fence
from defuse_server.worker.supervisor import Supervisor
from defuse_server.worker.work_folders import worker_folder

_log = structlog.get_logger(__name__)


async def run_worker(settings: Settings) -> None:
    """Run jobs, one at a time, until SIGTERM or SIGINT. Then hand the running job on, and return.

    Raises `ValueError` if the settings have no Redis URL, `SigningKeyUnusable`, and `UnsafeListen` or
    `OSError` about the address of its metrics.
    """
    signer = _signer(settings)
    async with open_backend(settings) as backend, MetricsServer(backend, "worker"):
        folder = worker_folder(settings.state_dir / "work")
        try:
            name = f"{socket.gethostname()}#{os.getpid()}"
            supervisor = Supervisor(backend, Fence(backend.redis, name, settings.lease_s), folder, signer)
            await _work(backend, supervisor, name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _signer(settings: Settings) -> "Signer | None":
    """Read the key once, so that evaluations don't depend on its file."""
    path = settings.signing_key
    if path is None:
        _log.warning("evidence.unsigned", reason="DEFUSE_SIGNING_KEY is not set")
        return None
    signer = signing_key.load(path)
    if signing_key.is_open_to_others(path):
        _log.warning("signing_key.readable_by_others", path=str(path), advice=f"chmod 600 {path}")
    _log.info("signing_key.loaded", key_id=signer.public_key.keyid)
    return signer


async def _work(backend: Backend, supervisor: Supervisor, name: str) -> None:
    async def run_job(name: str) -> None:
        await supervisor.run(name)

    await publish_worker_identity(
        backend.redis, supervisor.signer.public_key.keyid if supervisor.signer else ""
    )
    lease_s = backend.settings.lease_s
    backend.jobs.docket.register(run_job, names=[TASK])
    async with Worker(
        backend.jobs.docket,
        name=name,
        concurrency=1,
        redelivery_timeout=timedelta(seconds=lease_s),
        reconnection_delay=timedelta(seconds=1),
        schedule_automatic_tasks=False,
    ) as worker:
        working = asyncio.ensure_future(worker.run_forever())
        helpers = [
            asyncio.ensure_future(_recover(backend, lease_s / 2)),
            # Beside the jobs: annotators must not wait for a running audit.
            asyncio.ensure_future(keep_estimating(backend.consensus_estimates, backend.labeling)),
            # Beside the jobs: a waiting evaluation must not occupy a worker.
            asyncio.ensure_future(keep_settling(backend)),
        ]

        def stop() -> None:
            supervisor.stop()
            # The worker takes no new job, and waits for the one that is being handed on.
            working.cancel()

        with on_stop(stop):
            _log.info("worker.ready", worker=name)
            with contextlib.suppress(asyncio.CancelledError):
                await working
        await cancel_and_wait(*helpers)
    _log.info("worker.stopped", worker=name)


async def _recover(backend: Backend, interval_s: float) -> None:
    """Queue lost jobs again, and begin the region splits of MIXED regions."""
    while True:
        with contextlib.suppress(*UNREACHABLE):
            for split in await backend.region_splits.begin():
                await backend.jobs.submit(split)
            if recovered := await backend.jobs.recover():
                _log.info("jobs.recovered", count=recovered)
        await asyncio.sleep(interval_s)
