"""What the tests of jobs share: a backend on a real Valkey, tiny resources, real worker processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest
from defuse.v1.audit_service_pb2 import Audit, AuditConfig
from defuse.v1.models_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_FAILED,
    JOB_STATE_QUEUED,
    JOB_STATE_SUCCEEDED,
    ImageShape,
)
from defuse.v1.promotion_service_pb2 import CreateEvaluationRequest, Evaluation
from defuse.v1.registry_service_pb2 import (
    REGISTRATION_STATE_INSPECTING,
    REGISTRATION_STATE_READY,
    Classifier,
    Dataset,
    Vae,
)
from defuse_server import redis_keys
from defuse_server.api.promotions import PromotionService
from defuse_server.backend import Backend, open_backend
from defuse_server.host.settings import Settings
from defuse_server.records.creation import NewResource
from defuse_server.worker.fence import Fence
from redis.asyncio import Redis

FINAL = (JOB_STATE_SUCCEEDED, JOB_STATE_FAILED, JOB_STATE_CANCELLED)
LEASE_S = 2.0


@pytest.fixture
def settings(redis: Redis, redis_url: str, tmp_path: Path) -> Settings:
    """Settings of a service with an empty Valkey and an empty store, and short leases."""
    return Settings(
        redis_url=redis_url,
        store_url=str(tmp_path / "store"),
        state_dir=tmp_path / "state",
        device="cpu",
        threads=1,
        lease_s=LEASE_S,
    )


@pytest.fixture
async def backend(settings: Settings) -> AsyncIterator[Backend]:
    async with open_backend(settings) as backend:
        yield backend


class WorkerProcess:
    """A worker as operators run it: a process of its own."""

    def __init__(self, settings: Settings, log: Path):
        environment = {
            **os.environ,
            "DEFUSE_REDIS_URL": settings.redis_url or "",
            "DEFUSE_STORE_URL": settings.store_url,
            "DEFUSE_STATE_DIR": str(settings.state_dir),
            "DEFUSE_DEVICE": settings.device,
            "DEFUSE_THREADS": str(settings.threads),
            "DEFUSE_LEASE_S": str(settings.lease_s),
            "DEFUSE_TOKEN": "must-not-reach-the-engine",
        }
        code = (
            "import asyncio; from defuse_server.host import log; "
            "from defuse_server.host.settings import Settings; "
            "from defuse_server.worker.worker import run_worker; log.configure('info'); "
            "asyncio.run(run_worker(Settings()))"
        )
        self.log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=stream)

    @property
    def engines(self) -> list[psutil.Process]:
        """The engines that it runs now."""
        return psutil.Process(self.process.pid).children()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        """Kill it, paused or not, and wait."""
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[Callable[[], WorkerProcess]]:
    """Start a worker process; all are killed at the end of the test."""
    workers: list[WorkerProcess] = []

    def start() -> WorkerProcess:
        workers.append(WorkerProcess(settings, tmp_path / f"worker-{len(workers)}.log"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()
        # pytest shows it where the test failed.
        sys.stderr.write(worker.log.read_text())


class Tiny:
    """Makes tiny resources and jobs in a backend, as the API would."""

    def __init__(self, backend: Backend, models):
        self.backend = backend
        self.models = models

    async def artifact(self, content: bytes) -> str:
        return (await self.backend.store.put_bytes(content)).name

    async def submit(self, message, references=()):
        """Create a record and enqueue its job."""
        request = str(uuid.uuid4())
        made, _ = await self.backend.resources.create(
            NewResource(message, request, request.encode(), references=references)
        )
        await self.backend.jobs.submit(made.name)
        return made

    async def classifier(self, content: bytes | None = None) -> Classifier:
        content = content or self.models.classifier()
        return await self.submit(
            Classifier(state=REGISTRATION_STATE_INSPECTING, artifact=await self.artifact(content))
        )

    async def registered(self) -> tuple[str, str, str]:
        """Names of a classifier, a VAE and a dataset that are READY without an inspection's time."""
        made = [
            Classifier(artifact=await self.artifact(self.models.classifier()), class_count=2),
            Vae(
                encoder_artifact=await self.artifact(self.models.encoder()),
                decoder_artifact=await self.artifact(self.models.decoder()),
                latent_size=2,
            ),
            Dataset(
                artifact=await self.artifact(self.models.dataset()),
                class_names=["left", "right"],
                image_shape=ImageShape(channels=1, height=2, width=3),
            ),
        ]
        return tuple([await self.ready(message) for message in made])

    async def ready_classifier(self, content: bytes) -> str:
        return await self.ready(Classifier(artifact=await self.artifact(content), class_count=2))

    async def ready(self, message) -> str:
        """Register something without an inspection, and return its name."""
        message.state = REGISTRATION_STATE_INSPECTING
        made, _ = await self.backend.resources.create(NewResource(message, str(uuid.uuid4()), b"x"))
        claim = await Fence(self.backend.redis, "test", LEASE_S).claim(made.name)
        await claim.attempt.succeed(message)
        assert (await self.backend.resources.get(made.name)).state == REGISTRATION_STATE_READY
        return made.name

    async def audit(self, **config) -> Audit:
        """An audit of the tiny models; by default a few seconds long."""
        classifier, vae, dataset = await self.registered()
        return await self.audit_of(classifier, vae, dataset, **config)

    async def audit_of(self, classifier: str, vae: str, dataset: str, **config) -> Audit:
        values = {"seed": 1, "noise_scale": 0.3, "candidates_per_seed": 10, **config}
        return await self.submit(
            Audit(
                state=JOB_STATE_QUEUED,
                classifier=classifier,
                vae=vae,
                dataset=dataset,
                config=AuditConfig(**values),
            ),
            references=[classifier, vae, dataset],
        )

    async def evaluation(self, **fields) -> Evaluation:
        """An evaluation, made as the API makes it."""
        request = CreateEvaluationRequest(request_id=str(uuid.uuid4()), **fields)
        return await PromotionService(self.backend).create_evaluation(request)

    async def until(self, name: str, condition: Callable[..., bool], patience_s: float = 60.0):
        """Poll a resource until it is as wanted, and return it."""
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            resource = await self.backend.resources.get(name)
            if condition(resource):
                return resource
            await asyncio.sleep(0.05)
        raise AssertionError(f"not in {patience_s} s: {resource}")

    async def ended(self, name: str, patience_s: float = 60.0):
        return await self.until(name, lambda job: job.state in FINAL, patience_s)

    async def published(self, audit: Audit) -> list[bytes]:
        """All regions and chunks of an audit as bytes, but for the audit's name."""
        regions = await self.backend.regions.range(audit.name, 0, 1000)
        for region in regions:
            region.name = region.name.removeprefix(audit.name)
        chunks = await self.backend.chunks.list(audit.name)
        return [
            await self.backend.redis.hget(redis_keys.resource(audit.name), "regions_artifact"),
            *(region.SerializeToString(deterministic=True) for region in regions),
            *(f"{chunk.sha256} {chunk.arrays_sha256}".encode() for chunk in chunks),
        ]


@pytest.fixture
def tiny(backend: Backend, tiny_models) -> Tiny:
    return Tiny(backend, tiny_models)


@pytest.fixture
async def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until something holds; fail after some seconds."""

    async def wait(condition: Callable[[], bool], patience_s: float = 15.0) -> None:
        deadline_s = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline_s, "it did not come to hold"
            await asyncio.sleep(0.05)

    return wait
