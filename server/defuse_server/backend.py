"""The backend that the API, the pages and the workers share, wired from the settings."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import Redis

from defuse_server.access.access import Access
from defuse_server.access.limits import Limits
from defuse_server.findings.bugs import Bugs
from defuse_server.findings.chunks import Chunks
from defuse_server.findings.region_splits import RegionSplits
from defuse_server.findings.regions import Regions
from defuse_server.host.redis_client import connect
from defuse_server.host.settings import Settings
from defuse_server.jobs.queue import Jobs
from defuse_server.labels.consensus_estimates import ConsensusEstimates
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.records.resources import Resources
from defuse_server.store.artifacts import ArtifactStore
from defuse_server.store.uploads import Uploads


class Backend:
    """Records, bytes and the queue of one service. Processes on the same Redis and store see the same."""

    def __init__(self, settings: Settings, redis: Redis, resources: Resources) -> None:
        self.settings = settings
        self.redis = redis
        self.access = Access(settings, redis)
        self.limits = Limits(settings, redis)
        self.resources = resources
        self.store = ArtifactStore(settings.store_url)
        self.uploads = Uploads(
            self.store, redis, max_bytes=settings.max_upload_bytes, ttl_s=settings.upload_ttl_s
        )
        self.labels = LabelQueue(redis, resources)
        self.labeling = Labeling(redis, resources)
        self.consensus_estimates = ConsensusEstimates(redis)
        self.regions = Regions(redis, self.labeling)
        self.bugs = Bugs(redis, self.labeling)
        self.chunks = Chunks(redis)
        self.region_splits = RegionSplits(redis)
        self.jobs = Jobs(redis, resources)


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
        yield Backend(settings, redis, resources)
