"""Makes tiny resources and jobs in a backend, as the API would, and waits for them."""

import asyncio
import time
import uuid
from collections.abc import Callable

from defuse.v1.audit_service_pb2 import Audit, AuditConfig
from defuse.v1.label_service_pb2 import LabelAnswer
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
from defuse_server.backend import Backend
from defuse_server.records.creation import NewResource
from defuse_server.worker.fence import Fence

FINAL = (JOB_STATE_SUCCEEDED, JOB_STATE_FAILED, JOB_STATE_CANCELLED)
POLICY = "version: 1\nchecks: {annotator_agreement: off, region_accuracy: {samples: 300}}"
"""One annotator answers: nobody could disagree."""


class Tiny:
    """Makes tiny resources and jobs, and waits for them."""

    def __init__(self, backend: Backend, models):
        self.backend = backend
        self.models = models

    async def artifact(self, content: bytes) -> str:
        return (await self.backend.store.put_bytes(content)).name

    async def submit(self, message, references=()):
        """Create a record, whose job waits."""
        request = str(uuid.uuid4())
        made, _ = await self.backend.resources.create(
            NewResource(message, request, request.encode(), references=references)
        )
        await self.backend.jobs.announce()
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
        # In a queue of its own: a worker that runs meanwhile would take it from the other.
        new = NewResource(message, str(uuid.uuid4()), b"x", queue="test:queue")
        made, _ = await self.backend.resources.create(new)
        claim = await Fence(self.backend.redis, "test", 2.0).claim(made.name)
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

    async def evaluated(self, audit: Audit, candidate: str) -> Evaluation:
        """The evaluation of a candidate over an audit, when it is done."""
        made = await self.evaluation(
            audit=audit.name, baseline=audit.classifier, candidate=candidate, policy=POLICY
        )
        return await self.succeeded(made.name)

    async def label_truly(self, audit: str) -> None:
        """Have an annotator say of every bug what the mean of its first region shows."""
        regions = {region.name: region for region in await self.backend.regions.all(audit)}
        cells = {bug.name: bug.cells[0] for bug in await self.backend.bugs.all(audit)}
        for task in await self.backend.labels.lease(audit, "ann", 100, 60.0):
            answer = LabelAnswer(label=int(regions[cells[task.region]].mean[0] > 0))
            await self.backend.labels.submit(task.region, task.lease_token, answer, "")

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

    async def succeeded(self, name: str, patience_s: float = 120.0):
        job = await self.ended(name, patience_s)
        assert job.state == JOB_STATE_SUCCEEDED, job.failure
        return job

    async def published(self, audit: Audit) -> list[bytes]:
        """All regions and chunks of an audit as bytes, but for the audit's name."""
        regions = await self.backend.regions.range(audit.name, 0, 1000)
        for region in regions:
            region.name, region.bug = (name.removeprefix(audit.name) for name in (region.name, region.bug))
        chunks = await self.backend.chunks.list(audit.name)
        return [
            await self.backend.redis.hget(redis_keys.resource(audit.name), "regions_artifact"),
            *(region.SerializeToString(deterministic=True) for region in regions),
            *(f"{chunk.sha256} {chunk.arrays_sha256}".encode() for chunk in chunks),
        ]
