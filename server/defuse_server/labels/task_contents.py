"""The parts of a task that annotators see: its sheets, and the names of the classes."""

from collections.abc import Sequence
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Audit, Region
from defuse.v1.registry_service_pb2 import Dataset
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.labels.gold import is_gold
from defuse_server.names import region_name
from defuse_server.records.resources import Resources


async def class_names_of(resources: Resources, audit: Audit) -> list[str]:
    """Return the names of the classes, in the order of the labels. Raises `NotFound` (the dataset)."""
    return list(cast("Dataset", await resources.get(audit.dataset)).class_names)


async def published(redis: Redis, audit: str, numbers: Sequence[int]) -> list[Region]:
    """Return regions as the search found them. Pass on only what annotators may see."""
    bodies: dict[int, bytes | None] = {}
    for key, few in (
        (redis_keys.regions(audit), [number for number in numbers if not is_gold(number)]),
        (redis_keys.label_gold(audit), [number for number in numbers if is_gold(number)]),
    ):
        if few:
            found = await cast("Any", redis.hmget(key, [str(number) for number in few]))
            bodies.update(zip(few, found, strict=True))
    return [
        Region.FromString(body) if (body := bodies[number]) else Region(name=region_name(audit, number))
        for number in numbers
    ]
