"""No label is lost or counted twice, whatever is killed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from defuse import AsyncClient, FailedPrecondition
from defuse.messages import LabelTask
from defuse.v1.audit_service_pb2 import RegionState
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse_server.errors import RegionClosed
from defuse_server.findings.regions import Regions
from defuse_server.host.redis_client import connect
from defuse_server.host.valkey import EmbeddedValkey
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.names import parse_region_name, region_name
from defuse_server.records.resources import Resources

WANTED = 3


@dataclass(frozen=True)
class Size:
    """Of a crowd."""

    annotators: int
    regions: int
    lease_s: float
    """Long enough for an answer on a busy machine; what a killed server leased comes back after it."""


SIZES = [
    pytest.param(Size(annotators=12, regions=24, lease_s=6.0), id="12 annotators"),
    pytest.param(Size(annotators=50, regions=100, lease_s=20.0), id="50 annotators", marks=pytest.mark.soak),
]


class ApiProcess:
    """`defuse-server api`, on a port that it keeps when it is started again."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        self._redis_url = redis_url
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self.address = "127.0.0.1:0"

    def start(self) -> None:
        arguments = ["api", "--address", self.address, "--store-url", str(self._folder / "store")]
        with (self._folder / "api.log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "defuse_server", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "DEFUSE_REDIS_URL": self._redis_url},
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("ready: "), (self._folder / "api.log").read_text()
        self.address = line.removeprefix("ready: ").strip()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            assert self._process.wait(30) == -signal.SIGKILL
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None


@pytest.fixture
def api(redis_url: str, tmp_path: Path) -> Iterator[ApiProcess]:
    process = ApiProcess(redis_url, tmp_path)
    yield process
    process.kill()


class Crowd:
    """Annotators that label until nothing is left, and take down what the server said that it counted."""

    def __init__(self, address: str, audit: str, lease_s: float) -> None:
        self.address = address
        self.audit = audit
        self.lease_s = lease_s
        self.accepted: list[tuple[str, int, int]] = []
        """Annotator, region, label."""
        self.lost = 0

    async def annotate(self, annotator: str, over: Callable[[], Any]) -> None:
        stream = random.Random(annotator)
        async with AsyncClient(self.address, timeout_s=200) as client:
            while not await over():
                tasks = await client.lease_tasks(self.audit, annotator, max_tasks=2, lease_s=self.lease_s)
                for task in tasks:
                    await asyncio.sleep(stream.random() * 0.2)
                    await self._answer(client, annotator, task, stream.randrange(3))
                if not tasks:
                    await asyncio.sleep(0.5)

    async def _answer(self, client: AsyncClient, annotator: str, task: LabelTask, label: int) -> None:
        try:
            # Tried again with the same token while there is no server: whether the first came through or not.
            await client.submit_label(task, label)
        except FailedPrecondition:
            self.lost += 1
            return
        self.accepted.append((annotator, parse_region_name(task.region)[1], label))
        if label == 0:  # and some say it twice
            await client.submit_label(task, label)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("size", SIZES)
async def test_no_label_of_a_crowd_is_lost_when_the_server_is_killed_in_the_middle(
    api: ApiProcess, labeling: Labeling, publish_audit: Any, size: Size
) -> None:
    audit = await publish_audit(size.regions, wanted=WANTED)
    await asyncio.to_thread(api.start)
    crowd = Crowd(api.address, audit, size.lease_s)
    names = [f"annotator {number}" for number in range(size.annotators)]

    async def over() -> bool:
        return all(label.answers == WANTED for label in (await labeling.labels(audit)).values())

    people = [asyncio.ensure_future(crowd.annotate(name, over)) for name in names]
    while len(crowd.accepted) < size.regions:  # noqa: ASYNC110 - the crowd tells nobody
        await asyncio.sleep(0.01)
    await asyncio.to_thread(api.kill)
    at_the_kill = len(crowd.accepted)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(api.start)
    await asyncio.gather(*people)

    assert at_the_kill < size.regions * WANTED
    held = [
        (answer.annotator, task.number, int(answer.vote))
        for task in await labeling.tasks(audit)
        for answer in task.answers
    ]
    # Whatever was said to be counted is counted, once; and nothing else is.
    assert Counter(held) == Counter(crowd.accepted)
    assert len(held) == size.regions * WANTED
    assert len({(annotator, number) for annotator, number, _ in held}) == len(held)
    assert {annotator for annotator, _, _ in held} <= set(names)
    progress = await labeling.progress(audit)
    assert progress.labeled_count + progress.set_aside_count == size.regions


def queue_of(redis: Any) -> tuple[LabelQueue, Labeling, Resources]:
    resources = Resources(redis)
    return LabelQueue(redis, resources), Labeling(redis, resources), resources


async def kept(labeling: Labeling, audit: str) -> tuple[Any, ...]:
    return await labeling.labels(audit), await labeling.tasks(audit)


async def test_labels_leases_and_skips_survive_a_kill_9_of_valkey(
    tmp_path: Path, make_publisher: Any
) -> None:
    valkey = EmbeddedValkey(tmp_path / "valkey")
    async with connect(await valkey.start()) as redis:
        labels, labeling, resources = queue_of(redis)
        regions = Regions(redis, labeling)
        audit = await make_publisher(redis, resources, regions, labels)(4, wanted=2)
        for annotator in ("ann", "ben"):
            for task, label in zip(await labels.lease(audit, annotator, 2, 600), (1, 2), strict=True):
                await labels.submit(task.region, task.lease_token, LabelAnswer(label=label), "note")
        skipped, held = await labels.lease(audit, "ann", 2, 600)
        await labels.skip(skipped.region, skipped.lease_token, "blurred")
        before = await kept(labeling, audit)
        os.kill(valkey.pid, signal.SIGKILL)
        await valkey.wait()
        await resources.aclose()
    await valkey.stop()

    again = EmbeddedValkey(tmp_path / "valkey")
    async with connect(await again.start()) as redis:
        labels, labeling, resources = queue_of(redis)
        after = await kept(labeling, audit)
        assert after == before
        # The page that was open goes on with its token, and nobody gets again what they have had.
        await labels.extend(held.region, held.lease_token, 600)
        assert await labels.lease(audit, "ann", 10, 600) == []
        await labels.submit(held.region, held.lease_token, LabelAnswer(label=0), "")
        (first, _) = [task for task in await labeling.tasks(audit) if len(task.answers) == 2]
        assert first.number == 0
        with pytest.raises(RegionClosed):
            await labels.undo(region_name(audit, 0), "ann")
        assert (await labeling.labels(audit))[0].state == RegionState.REGION_STATE_LABELED
        await resources.aclose()
    await again.stop()
