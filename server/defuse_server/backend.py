"""The backend that the API, the pages and the workers share, wired from the settings."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from defuse_server.findings.bugs import Bugs
from defuse_server.findings.chunks import Chunks
from defuse_server.findings.region_splits import RegionSplits
from defuse_server.findings.regions import Regions
from defuse_server.host.redis_client import connect
from defuse_server.host.settings import Settings
from defuse_server.jobs.queue import Jobs, open_docket
from defuse_server.labels.consensus_estimates import ConsensusEstimates
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.records.resources import Resources
from defuse_server.store.artifacts import ArtifactStore
from defuse_server.store.uploads import Uploads


@dataclass(frozen=True)
class Backend:
    """Records, bytes and the queue of one service. Processes on the same Redis and store see the same."""

    settings: Settings
    redis: Redis
    store: ArtifactStore
    uploads: Uploads
    resources: Resources
    labels: LabelQueue
    labeling: Labeling
    consensus_estimates: ConsensusEstimates
    regions: Regions
    bugs: Bugs
    chunks: Chunks
    region_splits: RegionSplits
    jobs: Jobs


@asynccontextmanager
async def open_backend(settings: Settings) -> AsyncGenerator[Backend]:
    """Connect to the Redis and the store of the settings. Raises `ValueError` without a `redis_url`."""
    if settings.redis_url is None:
        raise ValueError("expected settings with a redis_url, got none")
    async with AsyncExitStack() as stack:
        redis = connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        resources = Resources(redis)
        stack.push_async_callback(resources.aclose)
        docket = await stack.enter_async_context(open_docket(settings.redis_url))
        store = ArtifactStore(settings.store_url)
        labeling = Labeling(redis, resources)
        yield Backend(
            settings=settings,
            redis=redis,
            store=store,
            uploads=Uploads(store, redis, max_bytes=settings.max_upload_bytes, ttl_s=settings.upload_ttl_s),
            resources=resources,
            labels=LabelQueue(redis, resources),
            labeling=labeling,
            consensus_estimates=ConsensusEstimates(redis),
            regions=Regions(redis, labeling),
            bugs=Bugs(redis, labeling),
            chunks=Chunks(redis),
            region_splits=RegionSplits(redis),
            jobs=Jobs(redis, resources, docket),
        )
