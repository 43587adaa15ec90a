"""The regions of audits with their labels."""

import builtins
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Region
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import Fenced, NotFound
from defuse_server.findings.published import Published
from defuse_server.findings.region_splits import region_split_outcomes
from defuse_server.host.redis_client import Script
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.region_label import NOT_OPENED
from defuse_server.names import parse_region_name, region_name, region_number

REGIONS_ARTIFACT = "regions_artifact"
READERS_ARTIFACT = "readers_artifact"
"""Field of an audit's hash; see redis_keys."""


class Regions(Published[Region]):
    """The regions of all audits."""

    def __init__(self, redis: Redis, labeling: Labeling) -> None:
        super().__init__(redis, Region, redis_keys.regions)
        self._labeling = labeling
        self._publish = Script(redis, Path(__file__).with_name("publish_region.lua"))

    parse_name = staticmethod(parse_region_name)

    async def publish(self, audit: str, region: Region, attempt: int) -> bool:
        """Publish a region under the number in its name. Returns False if that number is already published.

        Raises `Fenced` if `attempt` no longer has the job.
        """
        outcome = await self._publish(
            [redis_keys.resource(audit), redis_keys.regions(audit), redis_keys.predictions(audit)],
            [
                audit,
                redis_keys.CHANGED,
                attempt,
                region_number(region.name),
                region.SerializeToString(),
                region.predicted_class,
            ],
        )
        if outcome == b"fenced":
            raise Fenced(audit, attempt)
        return outcome == b"published"

    async def artifact(self, audit: str) -> str:
        """Return the name of the file of all regions, which may hold none. Raises `NotFound`."""
        name = await cast("Any", self._redis.hget(redis_keys.resource(audit), REGIONS_ARTIFACT))
        if name is None:
            raise NotFound(f"{audit}'s file of regions")
        return name.decode()

    async def readers_artifact(self, audit: str) -> str:
        """Return the name of the file of the audit's readers, or nothing: an older audit kept none."""
        name = await cast("Any", self._redis.hget(redis_keys.resource(audit), READERS_ARTIFACT))
        return "" if name is None else name.decode()

    async def _labeled(self, audit: str, findings: Sequence[Region]) -> builtins.list[Region]:
        """Add labels, bugs and region splits to regions of one audit, and return the regions."""
        labels = await self._labeling.labels(audit)
        region_splits = await region_split_outcomes(self._redis, audit)
        # Bugs come before their parts: the latest stays.
        bug_of = {cell: bug.name for bug in await self._labeling.bugs(audit) for cell in bug.cells}
        for region in findings:
            number = region_number(region.name)
            label = labels.get(number, NOT_OPENED)
            region.state = label.state
            if label.label is not None:
                region.label = label.label
            region.confirmed = label.confirms(region.predicted_class)
            region.agreement = label.agreement
            region.bug = bug_of.get(region.name, "")
            if split := region_splits.get(number):
                region.parts.extend(region_name(audit, part) for part in split.parts)
                region.unsplit_reason = split.reason
        return list(findings)
