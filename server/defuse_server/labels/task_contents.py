"""The parts of a task that annotators see: its sheets, and the names of the classes."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Audit, Bug, Region
from defuse.v1.registry_service_pb2 import Dataset
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.labels.gold import is_gold
from defuse_server.names import FIRST_BUG, task_name
from defuse_server.records.resources import Resources

Shown = Region | Bug
"""What a task is about. Of a gold task it has only the name and the sheets."""


async def class_names_of(resources: Resources, audit: Audit) -> list[str]:
    """Return the names of the classes, in the order of the labels. Raises `NotFound` (the dataset)."""
    return list(cast("Dataset", await resources.get(audit.dataset)).class_names)


async def published(redis: Redis, audit: str, numbers: Sequence[int]) -> list[Shown]:
    """Return what tasks are about, as it was found. Pass on only what annotators may see."""
    regions = [number for number in numbers if number < FIRST_BUG]
    golds = [number for number in numbers if is_gold(number)]
    bugs = [number for number in numbers if number >= FIRST_BUG and not is_gold(number)]
    bodies: dict[int, Shown] = {}

    async def read(key: str, few: list[int], first: int, parse: Callable[[bytes], Shown]) -> None:
        if few:
            found = await cast("Any", redis.hmget(key, [str(number - first) for number in few]))
            bodies.update({number: parse(body) for number, body in zip(few, found, strict=True) if body})

    await read(redis_keys.regions(audit), regions, 0, Region.FromString)
    await read(redis_keys.bugs(audit), bugs, FIRST_BUG, Bug.FromString)
    await read(redis_keys.label_gold(audit), golds, 0, _gold)
    return [bodies.get(number) or Bug(name=task_name(audit, number)) for number in numbers]


def _gold(body: bytes) -> Shown:
    """Read a gold task: it is stored as what it looks like. Both kinds have the same first field."""
    region = Region.FromString(body)
    return region if "/regions/" in region.name else Bug.FromString(body)
