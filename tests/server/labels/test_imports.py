"""Votes from files: each is counted once, whoever else imports it and whatever is killed."""

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from pathlib import Path

from defuse.v1.label_service_pb2 import LabelAnswer
from defuse_server import redis_keys
from defuse_server.errors import LeaseLost
from defuse_server.findings.regions import Regions
from defuse_server.host.redis_client import connect
from defuse_server.host.valkey import EmbeddedValkey
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.records.resources import Resources
from redis.asyncio import Redis

REGIONS, ANNOTATORS = 20, 5


def votes() -> list[tuple[int, str, str]]:
    """(region, annotation, annotator) of five annotators, each at every region."""
    return [
        (number, f"id-{number}-{annotator}", f"annotator {annotator}")
        for number in range(REGIONS)
        for annotator in range(ANNOTATORS)
    ]


async def imported(labels: LabelQueue, audit: str, some: list[tuple[int, str, str]]) -> Counter[str]:
    return Counter(
        [await labels.count_imported(audit, number, identity, who, "0", "") for number, identity, who in some]
    )


async def answers(redis: Redis, audit: str) -> list[tuple[str, str]]:
    """(region, annotator) of every answer that is counted."""
    tasks = await redis.hgetall(redis_keys.label_tasks(audit))
    return [
        (number.decode(), answer["annotator"])
        for number, text in tasks.items()
        for answer in json.loads(text)["answers"]
    ]


async def test_ten_imports_at_once_count_each_vote_once(redis, labels, publish_audit):
    audit = await publish_audit(REGIONS, wanted=ANNOTATORS)
    outcomes = await asyncio.gather(*(imported(labels, audit, votes()) for _ in range(10)))
    assert sum(outcomes, Counter()) == {"counted": len(votes()), "known": 9 * len(votes())}
    counted = await answers(redis, audit)
    assert len(counted) == len(set(counted)) == len(votes())


async def test_imports_and_annotators_share_the_places(redis, labels, publish_audit):
    audit = await publish_audit(REGIONS, wanted=2)

    async def annotate(annotator: str) -> None:
        while tasks := await labels.lease(audit, annotator, 1, 60):
            # An import with the annotator's vote takes their place: what they answer here comes too late.
            with contextlib.suppress(LeaseLost):
                await labels.submit(tasks[0].region, tasks[0].lease_token, LabelAnswer(label=0), "")

    await asyncio.gather(
        *(annotate(f"annotator {n}") for n in range(ANNOTATORS)), imported(labels, audit, votes())
    )
    counted = await answers(redis, audit)
    assert len(counted) == len(set(counted)) == 2 * REGIONS


async def test_what_was_counted_is_known_after_a_kill_9_of_valkey(tmp_path: Path, make_publisher):
    valkey = EmbeddedValkey(tmp_path)
    all_votes = votes()
    async with connect(await valkey.start()) as redis:
        resources = Resources(redis)
        labels = LabelQueue(redis, resources)
        audit = await make_publisher(redis, resources, Regions(redis, Labeling(redis, resources)), labels)(
            REGIONS, wanted=ANNOTATORS
        )
        assert await imported(labels, audit, all_votes[:37]) == {"counted": 37}
        os.kill(valkey.pid, signal.SIGKILL)
        await resources.aclose()
    await valkey.stop()
    async with connect(await valkey.start()) as redis:
        resources = Resources(redis)
        labels = LabelQueue(redis, resources)
        expected = {"counted": len(all_votes) - 37, "known": 37}
        assert await imported(labels, audit, all_votes) == expected
        counted = await answers(redis, audit)
        assert len(counted) == len(set(counted)) == len(all_votes)
        await resources.aclose()
    await valkey.stop()
