"""What the server's tests share: a real Valkey, a store in a folder, and the records on top of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from defuse.v1.audit_service_pb2 import Audit, AuditConfig, Bug, LabelingConfig, Region
from defuse.v1.models_pb2 import ContactSheet, Interval, JobState
from defuse.v1.registry_service_pb2 import Dataset
from defuse_server import redis_keys
from defuse_server.findings.bugs import Bugs
from defuse_server.findings.chunks import Chunks
from defuse_server.findings.regions import Regions
from defuse_server.host.redis_client import connect
from defuse_server.host.valkey import EmbeddedValkey
from defuse_server.labels.consensus_estimates import ConsensusEstimates
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.names import FIRST_BUG, bug_name, region_name
from defuse_server.records.creation import NewResource
from defuse_server.records.resources import Resources
from defuse_server.store.artifacts import ArtifactStore
from defuse_server.store.uploads import Uploads
from redis.asyncio import Redis


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Valkey that serves the whole session; flush it before use (the fixture `redis` does)."""
    valkey = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    url = asyncio.run(valkey.start())
    yield url
    asyncio.run(valkey.stop())


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty Valkey."""
    client = connect(redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "store"))


@pytest.fixture
def uploads(store: ArtifactStore, redis: Redis) -> Uploads:
    return Uploads(store, redis, max_bytes=1_000_000, ttl_s=3600)


@pytest.fixture
def resources(redis: Redis) -> Resources:
    return Resources(redis)


@pytest.fixture
def labels(redis: Redis, resources: Resources) -> LabelQueue:
    return LabelQueue(redis, resources)


@pytest.fixture
def labeling(redis: Redis, resources: Resources) -> Labeling:
    return Labeling(redis, resources)


@pytest.fixture
def estimates(redis: Redis) -> ConsensusEstimates:
    return ConsensusEstimates(redis)


@pytest.fixture
def regions(redis: Redis, labeling: Labeling) -> Regions:
    return Regions(redis, labeling)


@pytest.fixture
def bugs(redis: Redis, labeling: Labeling) -> Bugs:
    return Bugs(redis, labeling)


@pytest.fixture
def chunks(redis: Redis) -> Chunks:
    return Chunks(redis)


class AuditPublisher:
    """Makes audits that a worker (attempt 1) is at, with regions that annotators can label."""

    def __init__(self, redis: Redis, resources: Resources, regions: Regions, labels: LabelQueue) -> None:
        self._redis = redis
        self._resources = resources
        self._regions = regions
        self._bugs = Bugs(redis, Labeling(redis, resources))
        self._labels = labels

    async def __call__(
        self,
        region_count: int,
        *,
        wanted: int = 1,
        limit: int = 0,
        method: str = "majority",
        gold_rate: float = 0.0,
        classes: int = 3,
        predicted_class: int = 0,
        harms: Sequence[float] = (),
        cells: Sequence[Sequence[int]] = (),
        label_probability: float = 0.0,
    ) -> str:
        """Return the audit's name; its regions all have the same prediction.

        Without `limit`, no more than `wanted` are asked. With `cells`, the regions of each bug, annotators
        see the bugs; a bug shows its first two cells.
        """
        names = [f"class {label}" for label in range(classes)]
        dataset, _ = await self._resources.create(
            NewResource(Dataset(class_names=names), str(uuid.uuid4()), b"")
        )
        labeling = LabelingConfig(
            method=f"CONSENSUS_METHOD_{method.upper()}",
            max_annotators_per_region=limit or wanted,
            gold_rate=gold_rate,
        )
        config = AuditConfig(annotators_per_region=wanted, labeling=labeling)
        audit, _ = await self._resources.create(
            NewResource(Audit(dataset=dataset.name, config=config), str(uuid.uuid4()), b"")
        )
        running = {"state": JobState.JOB_STATE_RUNNING, "attempt": 1}
        await self._redis.hset(redis_keys.resource(audit.name), mapping=running)
        for number in range(region_count):
            region = self.region(audit.name, number, predicted_class)
            region.harm.value = harms[number] if harms else 0.0
            await self._regions.publish(audit.name, region, 1)
        if not cells:
            await self._labels.open(audit.name, range(region_count), wanted)
        for number, its in enumerate(cells):
            bug = self.bug(audit.name, number, its, predicted_class)
            bug.label_probability = label_probability
            await self._bugs.publish(audit.name, bug, 1)
        await self._labels.open(audit.name, range(FIRST_BUG, FIRST_BUG + len(cells)), wanted)
        return audit.name

    @staticmethod
    def region(audit: str, number: int, predicted_class: int = 0) -> Region:
        sheet = ContactSheet(artifact=f"artifacts/{number:064x}", columns=4, rows=4, count=16)
        return Region(
            name=region_name(audit, number),
            predicted_class=predicted_class,
            seed_label=2,
            size=10,
            sheet=sheet,
        )

    @staticmethod
    def bug(audit: str, number: int, cells: Sequence[int], predicted_class: int = 0) -> Bug:
        names = [region_name(audit, cell) for cell in cells]
        return Bug(
            name=bug_name(audit, number),
            cells=names,
            shown_cells=names[:2],
            predicted_class=predicted_class,
            seed_label=2,
            harm=Interval(value=1.0 / (1 + number)),
            sheet=ContactSheet(artifact=f"artifacts/{1000 + number:064x}", columns=3, rows=3, count=9),
            nearest_sheet=ContactSheet(artifact=f"artifacts/{2000 + number:064x}", count=9),
        )


@pytest.fixture
def publish_audit(redis: Redis, resources: Resources, regions: Regions, labels: LabelQueue) -> AuditPublisher:
    return AuditPublisher(redis, resources, regions, labels)


@pytest.fixture(scope="session")
def make_publisher() -> type[AuditPublisher]:
    """For tests that make their own connection, one an example."""
    return AuditPublisher
