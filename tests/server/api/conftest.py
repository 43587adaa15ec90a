"""What the tests of the API share: a real server on a loopback port, stubs, and records like workers'."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from defuse.v1 import (
    artifact_service_pb2_grpc,
    audit_service_pb2_grpc,
    correction_service_pb2_grpc,
    label_service_pb2_grpc,
    promotion_service_pb2_grpc,
    registry_service_pb2_grpc,
)
from defuse.v1.audit_service_pb2 import (
    Audit,
    Misclassification,
    Region,
    StreamMisclassificationsResponse,
)
from defuse.v1.models_pb2 import ImageShape
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae
from defuse_server.api.server import ApiServer
from defuse_server.backend import Backend, open_backend
from defuse_server.findings.chunks import Chunk
from defuse_server.findings.regions import REGIONS_ARTIFACT
from defuse_server.host.settings import Settings
from defuse_server.records.creation import NewResource
from defuse_server.worker.fence import Attempt, Fence
from google.protobuf.internal.encoder import _VarintBytes
from google.rpc import error_details_pb2, status_pb2
from redis.asyncio import Redis

SHAPE = ImageShape(channels=1, height=2, width=3)


@pytest.fixture
def settings(redis: Redis, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(
        address="127.0.0.1:0",
        redis_url=redis_url,
        store_url=str(tmp_path / "store"),
        state_dir=tmp_path / "state",
        device="cpu",
        threads=1,
        lease_s=2.0,
        max_upload_bytes=20_000_000,
    )


@pytest.fixture
async def backend(settings: Settings) -> AsyncIterator[Backend]:
    async with open_backend(settings) as backend:
        yield backend


@pytest.fixture
async def api(backend: Backend) -> AsyncIterator[ApiServer]:
    async with ApiServer(backend, grace_s=1.0) as server:
        yield server


@dataclass(frozen=True)
class Stubs:
    """One stub a service, on one channel."""

    channel: grpc.aio.Channel

    def __post_init__(self) -> None:
        for name, module in (
            ("Artifact", artifact_service_pb2_grpc),
            ("Registry", registry_service_pb2_grpc),
            ("Audit", audit_service_pb2_grpc),
            ("Label", label_service_pb2_grpc),
            ("Correction", correction_service_pb2_grpc),
            ("Promotion", promotion_service_pb2_grpc),
        ):
            stub = getattr(module, f"{name}ServiceStub")(self.channel)
            object.__setattr__(self, name.lower() if name == "Registry" else f"{name.lower()}s", stub)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Stubs]]:
    """Stubs on a new channel to a server; closed at the end of the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def connected(server: ApiServer, credentials: grpc.ChannelCredentials | None = None) -> Stubs:
            if credentials is None:
                channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
            else:
                channel = grpc.aio.secure_channel(f"localhost:{server.port}", credentials)
            return Stubs(await stack.enter_async_context(channel))

        yield connected


@pytest.fixture
async def stubs(api: ApiServer, connect) -> Stubs:
    return await connect(api)


@dataclass
class Problem:
    """The status that a refused call ended with."""

    code: grpc.StatusCode | None = None
    reason: str = ""
    message: str = ""
    figures: dict[str, str] | None = None
    fields: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    def read(self, error: grpc.aio.AioRpcError) -> None:
        self.code, self.message = error.code(), error.details() or ""
        data = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        status = status_pb2.Status.FromString(data)
        self.details = tuple(detail.type_url.rpartition(".")[2] for detail in status.details)
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status.details:
            if detail.Unpack(info):
                assert info.domain == "defuse.dev"
                self.reason, self.figures = info.reason, dict(info.metadata)
            if detail.Unpack(request):
                self.fields = tuple(violation.field for violation in request.field_violations)


@contextlib.contextmanager
def _refused() -> Iterator[Problem]:
    problem = Problem()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield problem
    problem.read(caught.value)


@pytest.fixture
def refused():
    """A context in which a call must fail; afterwards it tells how."""
    return _refused


def new_id() -> str:
    return str(uuid.uuid4())


class Records:
    """Makes records in a backend, and ends their jobs as a worker does."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    async def made(self, message, *references: str):
        made, _ = await self.backend.resources.create(
            NewResource(message, new_id(), b"", references=references)
        )
        return made

    async def attempt(self, name: str) -> Attempt:
        claim = await Fence(self.backend.redis, "test", 2.0).claim(name)
        assert claim.attempt is not None
        return claim.attempt

    async def finished(self, message, *references: str):
        """A record whose job succeeded."""
        made = await self.made(message, *references)
        await (await self.attempt(made.name)).succeed(message)
        return await self.backend.resources.get(made.name)

    async def artifact(self, data: bytes) -> str:
        return (await self.backend.store.put_bytes(data)).name

    async def classifier(self, **fields) -> Classifier:
        values = {"class_count": 2, "image_shape": SHAPE, "differentiable": True, **fields}
        values.setdefault("artifact", await self.artifact(b"onnx"))
        return await self.finished(Classifier(**values))

    async def vae(self, **fields) -> Vae:
        values = {"latent_size": 2, "image_shape": SHAPE, "encoder_artifact": await self.artifact(b"encoder")}
        values["decoder_artifact"] = await self.artifact(b"decoder")
        return await self.finished(Vae(**{**values, **fields}))

    async def dataset(self, **fields) -> Dataset:
        values = {"class_names": ["left", "right"], "image_shape": SHAPE, **fields}
        return await self.finished(Dataset(artifact=await self.artifact(b"npz"), **values))

    async def queued_audit(self, **classifier) -> Audit:
        names = [
            (await self.classifier(**classifier)).name,
            (await self.vae()).name,
            (await self.dataset()).name,
        ]
        return await self.made(Audit(classifier=names[0], vae=names[1], dataset=names[2]), *names)

    async def audit(self, *, regions: int = 0, **classifier) -> Audit:
        """An audit that succeeded, with regions that await their labels; each is predicted as class 1."""
        audit = await self.queued_audit(**classifier)
        return await self.succeeded_audit(audit, harms=[0.0] * regions)

    async def succeeded_audit(self, audit: Audit, harms: Sequence[float] = (), wanted: int = 1) -> Audit:
        """The audit after a worker ended it, with a region for each of the expected harms."""
        attempt = await self.attempt(audit.name)
        for number, harm in enumerate(harms):
            await self.publish_region(attempt, number, harm)
        await self.backend.labels.open(audit.name, range(len(harms)), wanted)
        await attempt.remember(REGIONS_ARTIFACT, await self.artifact(b"regions"))
        await attempt.succeed(audit)
        return await self.backend.resources.get(audit.name)

    async def publish_region(self, attempt: Attempt, number: int, harm: float = 0.0) -> None:
        region = Region(name=f"{attempt.name}/regions/{number}", seed_label=0, predicted_class=1, tau=0.5)
        region.harm.value = harm
        await self.backend.regions.publish(attempt.name, region, attempt.number)

    async def publish_chunk(
        self, attempt: Attempt, shard: int, messages: int, records: int = 3, latent_size: int = 2
    ) -> None:
        """Publish a shard; its records' seeds count on through its messages."""
        code = [0.5] * latent_size
        data = b""
        for number in range(messages):
            found = [
                Misclassification(seed_index=1000 * shard + records * number + row, code=code)
                for row in range(records)
            ]
            message = StreamMisclassificationsResponse(misclassifications=found, cursor=f"{shard}.{number}")
            serialized = message.SerializeToString()
            data += _VarintBytes(len(serialized)) + serialized
        stored = await self.backend.store.put_bytes(data)
        chunk = Chunk(shard, stored.sha256, stored.size_bytes, messages * records, 100, stored.sha256)
        await self.backend.chunks.append(attempt.name, chunk, attempt.number)


@pytest.fixture
def records(backend: Backend) -> Records:
    return Records(backend)
