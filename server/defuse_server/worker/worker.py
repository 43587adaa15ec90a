"""The worker process: runs jobs from the queue until SIGTERM or SIGINT."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import Collection
from typing import Final

import structlog

from defuse_server.backend import Backend, open_backend
from defuse_server.evaluations.wait_for_audit import keep_settling
from defuse_server.evaluations.worker_identity import publish_worker_identity
from defuse_server.evidence import signing_key
from defuse_server.evidence.signing_key import Signer
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.host.settings import Settings
from defuse_server.host.stop_event import on_stop
from defuse_server.jobs.workers import signs_of_life
from defuse_server.labels.estimate_consensus import keep_estimating
from defuse_server.monitoring.metrics_server import MetricsServer
from defuse_server.records.kinds import collections_of
from defuse_server.worker.fence import Fence
from defuse_server.worker.lane import run_lane
from defuse_server.worker.supervisor import Supervisor
from defuse_server.worker.work_folders import worker_folder

INSPECTIONS_AT_ONCE: Final = 2
"""One model may take all the time that an inspection has, and the next one is inspected all the same."""

_log = structlog.get_logger(__name__)


async def run_worker(settings: Settings) -> None:
    """Run jobs, and inspections beside them, until SIGTERM or SIGINT. Then hand on what runs, and return.

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
    await publish_worker_identity(
        backend.redis, supervisor.signer.public_key.keyid if supervisor.signer else ""
    )
    lease_s = backend.settings.lease_s
    helpers = [
        asyncio.ensure_future(_keep_splitting(backend, lease_s / 2)),
        # Beside the jobs: annotators must not wait for a running audit.
        asyncio.ensure_future(keep_estimating(backend.consensus_estimates, backend.labeling)),
        # Beside the jobs: a waiting evaluation must not occupy a worker.
        asyncio.ensure_future(keep_settling(backend)),
    ]
    with on_stop(supervisor.stopping.set):
        kinds = sorted(backend.settings.job_kinds)
        _log.info("worker.ready", worker=name, kinds=kinds)
        async with signs_of_life(backend.redis, name):
            await asyncio.gather(*(run_lane(backend, supervisor, lane) for lane in _lanes(kinds)))
    await cancel_and_wait(*helpers)
    _log.info("worker.stopped", worker=name)


def _lanes(kinds: Collection[str]) -> list[frozenset[str]]:
    """Return the collections of each lane: jobs run one at a time, and inspections beside them."""
    inspections = collections_of({"inspection"}.intersection(kinds))
    jobs = collections_of(kinds) - inspections
    return [*([inspections] * INSPECTIONS_AT_ONCE if inspections else []), *([jobs] if jobs else [])]


async def _keep_splitting(backend: Backend, interval_s: float) -> None:
    """Begin the region splits of MIXED regions."""
    while True:
        with contextlib.suppress(*UNREACHABLE):
            if await backend.region_splits.begin():
                await backend.jobs.announce()
        await asyncio.sleep(interval_s)
