"""The regions of audits with their labels."""

import builtins
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Region
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import Fenced, NotFound
from defuse_server.findings.region_splits import RegionSplitOutcome
from defuse_server.host.redis_client import Script
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.region_label import NOT_OPENED, RegionLabel
from defuse_server.names import audit_id, parse_region_name, region_name
from defuse_server.records.paging import checked_page_size, opened_page_token
from defuse_server.records.sealed import Sealer

REGIONS_ARTIFACT = "regions_artifact"
"""Field of an audit's hash; see redis_keys."""

_READ_BATCH = 200


class Regions:
    """The regions of all audits."""

    def __init__(self, redis: Redis, labeling: Labeling) -> None:
        self._redis = redis
        self._sealer = Sealer(redis)
        self._labeling = labeling
        self._publish = Script(redis, Path(__file__).with_name("publish_region.lua"))

    async def publish(self, audit: str, region: Region, attempt: int) -> bool:
        """Publish a region under the number in its name. Returns False if that number is already published.

        Annotators see the region once `LabelQueue.open` has its number. Raises `Fenced` if `attempt` no
        longer has the job.
        """
        _, number = parse_region_name(region.name)
        outcome = await self._publish(
            [redis_keys.resource(audit), redis_keys.regions(audit), redis_keys.predictions(audit)],
            [
                audit,
                redis_keys.CHANGED,
                attempt,
                number,
                region.SerializeToString(),
                region.predicted_class,
            ],
        )
        if outcome == b"fenced":
            raise Fenced(audit, attempt)
        return outcome == b"published"

    async def get(self, name: str) -> Region:
        """Return a region with its label. Raises `InvalidRequest`, `NotFound`."""
        audit, number = parse_region_name(name)
        regions = await self.range(audit, number, 1)
        if not regions:
            raise NotFound(name)
        return regions[0]

    async def count(self, audit: str) -> int:
        """Return the number of published regions."""
        return int(await cast("Any", self._redis.hlen(redis_keys.regions(audit))))

    async def artifact(self, audit: str) -> str:
        """Return the name of the file of all regions, which may hold none. Raises `NotFound`."""
        name = await cast("Any", self._redis.hget(redis_keys.resource(audit), REGIONS_ARTIFACT))
        if name is None:
            raise NotFound(f"{audit}'s file of regions")
        return name.decode()

    async def range(self, audit: str, first: int, limit: int) -> builtins.list[Region]:
        """Return up to `limit` regions from number `first` on with their labels, in order."""
        regions = await self._read(audit, first, limit)
        return _labeled(regions, await self._labeling.labels(audit), await self._region_splits(audit))

    async def all(self, audit: str) -> builtins.list[Region]:
        """Return all regions with their labels, in order. The labels are read once, for all regions."""
        return await self._find(audit, 0, None, lambda region: True)

    async def list(
        self, audit: str, page_size: int, page_token: str, *, state: int = 0, confirmed_only: bool = False
    ) -> tuple[builtins.list[Region], str]:
        """Return a page in the order of the numbers, and the token of the next page (empty: the last page).

        `state` is a RegionState; 0 lists all. Raises `InvalidRequest`, `NotFound` (the audit),
        `PageTokenInvalid`.
        """
        size = checked_page_size(page_size)
        purpose = f"regions:{audit}:{state}:{confirmed_only}"
        first = await opened_page_token(self._sealer, purpose, page_token) or 0
        audit_id(audit, "parent")
        if not await cast("Any", self._redis.exists(redis_keys.resource(audit))):
            raise NotFound(audit)

        def wanted(region: Region) -> bool:
            return state in (0, region.state) and (region.confirmed or not confirmed_only)

        # One more than asked for tells whether there is a next page.
        found = await self._find(audit, first, size + 1, wanted)
        if len(found) <= size:
            return found, ""
        _, next_number = parse_region_name(found[size].name)
        return found[:size], await self._sealer.seal(purpose, str(next_number))

    async def _find(
        self, audit: str, first: int, count: int | None, wanted: Callable[[Region], bool]
    ) -> builtins.list[Region]:
        labels, region_splits = await self._labeling.labels(audit), await self._region_splits(audit)
        found: list[Region] = []
        while count is None or len(found) < count:
            regions = _labeled(await self._read(audit, first, _READ_BATCH), labels, region_splits)
            found += [region for region in regions if wanted(region)]
            if len(regions) < _READ_BATCH:
                break
            first += _READ_BATCH
        return found[:count]

    async def _region_splits(self, audit: str) -> dict[int, RegionSplitOutcome]:
        fields = await cast("Any", self._redis.hgetall(redis_keys.region_splits(audit)))
        return {int(number): RegionSplitOutcome.from_json(outcome) for number, outcome in fields.items()}

    async def _read(self, audit: str, first: int, limit: int) -> builtins.list[Region]:
        fields = [str(number) for number in range(first, first + limit)]
        bodies = await cast("Any", self._redis.hmget(redis_keys.regions(audit), fields))
        return [Region.FromString(body) for body in bodies if body is not None]


def _labeled(
    regions: Iterable[Region], labels: dict[int, RegionLabel], region_splits: dict[int, RegionSplitOutcome]
) -> list[Region]:
    """Add labels and region splits to regions of one audit, and return the regions."""
    regions = list(regions)
    for region in regions:
        audit, number = parse_region_name(region.name)
        label = labels.get(number, NOT_OPENED)
        region.state = label.state
        if label.label is not None:
            region.label = label.label
        region.confirmed = label.confirms(region.predicted_class)
        region.agreement = label.agreement
        if split := region_splits.get(number):
            region.parts.extend(region_name(audit, part) for part in split.parts)
            region.unsplit_reason = split.reason
    return regions
