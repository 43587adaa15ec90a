"""What the tests of jobs share: a backend on a real Valkey, tiny resources, real worker processes."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse_server.backend import Backend, open_backend
from defuse_server.evidence import signing_key
from defuse_server.host.settings import Settings
from redis.asyncio import Redis

from tests.server.worker.snapshots import Snapshots
from tests.server.worker.tiny_jobs import Tiny
from tests.server.worker.worker_process import WorkerProcess

LEASE_S = 2.0


@pytest.fixture
def settings(redis: Redis, redis_url: str, tmp_path: Path) -> Settings:
    """Settings of a service with an empty Valkey and an empty store, and short leases."""
    return Settings(
        redis_url=redis_url,
        store_url=str(tmp_path / "service" / "store"),
        state_dir=tmp_path / "service" / "state",
        device="cpu",
        threads=1,
        lease_s=LEASE_S,
    )


@pytest.fixture
async def backend(settings: Settings) -> AsyncIterator[Backend]:
    async with open_backend(settings) as backend:
        yield backend


@pytest.fixture
def service_folder(settings: Settings) -> Path:
    """Where the service keeps its files, the workers' logs among them."""
    settings.state_dir.mkdir(parents=True)
    return settings.state_dir.parent


@pytest.fixture
def start_worker(settings: Settings, service_folder: Path) -> Iterator[Callable[[], WorkerProcess]]:
    """Start a worker process; all are killed at the end of the test."""
    workers: list[WorkerProcess] = []

    def start() -> WorkerProcess:
        workers.append(WorkerProcess(settings, service_folder / f"worker-{len(workers)}.log"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()
        # pytest shows it where the test failed.
        sys.stderr.write(worker.log.read_text())


@pytest.fixture
def tiny(backend: Backend, tiny_models) -> Tiny:
    return Tiny(backend, tiny_models)


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
    return Snapshots(tmp_path_factory.mktemp("snapshots"))


Once = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture
def once(
    snapshots: Snapshots, redis: Redis, service_folder: Path, start_worker: Callable[[], WorkerProcess]
) -> Once:
    """Have a worker do something long for the first test that wants it, and find it done in all others."""

    async def done(name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        async def with_a_worker() -> Any:
            worker = start_worker()
            result = await work()
            worker.stop()
            return result

        return await snapshots.once(name, redis, service_folder, with_a_worker)

    return done


@pytest.fixture
async def audit(tiny: Tiny, once: Once) -> Audit:
    """An audit that succeeded; its regions want one annotator each, and have no label yet.

    No worker runs. Parts of every region convince, too: what they look like is the engine's tests' to say.
    """

    async def work() -> Audit:
        started = await tiny.audit(annotators_per_region=1, agreement_threshold=0.8)
        return await tiny.succeeded(started.name)

    return await once("audit", work)


@pytest.fixture
async def labeled_audit(audit: Audit, tiny: Tiny) -> Audit:
    """The audit after an annotator said of each region what its mean shows."""
    await tiny.label_truly(audit.name)
    return audit


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signing key; workers have it where a test sets DEFUSE_SIGNING_KEY."""
    path = tmp_path_factory.mktemp("key") / "key.pem"
    signing_key.make(path)
    return path


@pytest.fixture
async def refused(
    labeled_audit: Audit, tiny: Tiny, once: Once, key: Path, monkeypatch: pytest.MonkeyPatch
) -> Evaluation:
    """The evaluation of the audit's classifier as its own candidate: it repairs nothing. It is signed."""
    monkeypatch.setenv("DEFUSE_SIGNING_KEY", str(key))

    async def work() -> Evaluation:
        return await tiny.evaluated(labeled_audit, labeled_audit.classifier)

    return await once("refused", work)


@pytest.fixture
async def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until something holds; fail after some seconds."""

    async def wait(condition: Callable[[], bool], patience_s: float = 15.0) -> None:
        deadline_s = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline_s, "it did not come to hold"
            await asyncio.sleep(0.05)

    return wait
