import uuid
from typing import Any

import pytest
from defuse.v1.audit_service_pb2 import Audit, RegionState
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse.v1.models_pb2 import JobState
from defuse_server import redis_keys
from defuse_server.errors import Fenced, InvalidRequest, NotFound, PageTokenInvalid
from defuse_server.findings.chunks import Chunk, Chunks
from defuse_server.findings.regions import Regions
from defuse_server.labels.queue import LabelQueue
from defuse_server.names import parse_region_name, region_name
from defuse_server.records.resources import Resources
from redis.asyncio import Redis


def chunk(shard: int) -> Chunk:
    return Chunk(
        shard=shard, sha256=f"{shard:064x}", size_bytes=100, records=7, candidates=50, arrays_sha256="0" * 64
    )


async def label(labels: LabelQueue, audit: str, *answers: int) -> None:
    """Label the first regions, one class each."""
    tasks = await labels.lease(audit, "annotator", len(answers), 60)
    for task, answer in zip(tasks, answers, strict=True):
        await labels.submit(task.region, task.lease_token, LabelAnswer(label=answer), "")


async def test_a_published_region_is_read_back_unlabeled(regions: Regions, publish_audit: Any) -> None:
    audit = await publish_audit(3)
    region = await regions.get(region_name(audit, 2))
    assert region.state == RegionState.REGION_STATE_UNLABELED
    assert not region.confirmed
    assert not region.HasField("label")
    assert await regions.count(audit) == 3
    with pytest.raises(NotFound):
        await regions.get(region_name(audit, 3))


async def test_a_label_that_differs_from_the_prediction_confirms_a_bug(
    regions: Regions, labels: LabelQueue, publish_audit: Any
) -> None:
    audit = await publish_audit(3, predicted_class=1)
    await label(labels, audit, 2, 1)
    read = await regions.range(audit, 0, 10)
    labeled, unlabeled = RegionState.REGION_STATE_LABELED, RegionState.REGION_STATE_UNLABELED
    assert [region.state for region in read] == [labeled, labeled, unlabeled]
    assert [region.confirmed for region in read] == [True, False, False]
    assert [region.label for region in read[:2]] == [2, 1]


async def test_regions_are_listed_by_number_and_filtered(
    regions: Regions, labels: LabelQueue, publish_audit: Any
) -> None:
    audit = await publish_audit(250)
    await label(labels, audit, *[number % 3 for number in range(100)])
    numbers: list[int] = []
    token = ""
    while True:
        page, token = await regions.list(audit, 30, token, confirmed_only=True)
        numbers += [parse_region_name(region.name)[1] for region in page]
        if not token:
            break
    assert numbers == [number for number in range(100) if number % 3 != 0]
    unlabeled, token = await regions.list(audit, 1000, "", state=RegionState.REGION_STATE_UNLABELED)
    assert [parse_region_name(region.name)[1] for region in unlabeled] == list(range(100, 250))
    assert token == ""


async def test_a_page_token_of_another_audit_or_filter_is_refused(
    regions: Regions, publish_audit: Any
) -> None:
    audit, other = await publish_audit(3), await publish_audit(3)
    _, token = await regions.list(audit, 1, "")
    with pytest.raises(PageTokenInvalid):
        await regions.list(other, 1, token)
    with pytest.raises(PageTokenInvalid):
        await regions.list(audit, 1, token, confirmed_only=True)


async def test_regions_of_no_audit_are_not_found(regions: Regions) -> None:
    with pytest.raises(NotFound):
        await regions.list("audits/00000000000000000a", 1, "")
    with pytest.raises(InvalidRequest):
        await regions.get("audits/00000000000000000a/regions/-1")


async def test_a_region_is_published_once_and_counted_in_the_audit(
    regions: Regions, resources: Resources, publish_audit: Any
) -> None:
    audit = await publish_audit(2)
    assert await regions.publish(audit, publish_audit.region(audit, 1), 1) is False
    assert await regions.publish(audit, publish_audit.region(audit, 2), 1) is True
    shown = await resources.get(audit)
    assert isinstance(shown, Audit)
    assert shown.region_count == 3


@pytest.fixture
async def with_chunks(chunks: Chunks, publish_audit: Any) -> str:
    """An audit with two chunks, one of which came twice."""
    audit = await publish_audit(0)
    assert await chunks.append(audit, chunk(0), 1) is True
    assert await chunks.append(audit, chunk(0), 1) is False
    assert await chunks.append(audit, chunk(1), 1) is True
    return audit


@pytest.mark.parametrize("start", [0, 1, 2])
async def test_chunks_are_published_once_in_their_order(with_chunks: str, chunks: Chunks, start: int) -> None:
    assert await chunks.list(with_chunks, start) == [chunk(0), chunk(1)][start:]


async def test_a_chunks_counts_are_added_once(with_chunks: str, resources: Resources) -> None:
    shown = await resources.get(with_chunks)
    assert isinstance(shown, Audit)
    assert (shown.misclassification_count, shown.candidate_count) == (14, 100)


async def test_a_worker_that_lost_its_job_publishes_nothing(
    chunks: Chunks, regions: Regions, redis: Redis, publish_audit: Any
) -> None:
    audit = await publish_audit(0)
    await redis.hset(redis_keys.resource(audit), "attempt", 2)
    with pytest.raises(Fenced):
        await chunks.append(audit, chunk(0), 1)
    with pytest.raises(Fenced):
        await regions.publish(audit, publish_audit.region(audit, 0), 1)
    # Nor does one whose job has ended, or was deleted.
    await redis.hset(redis_keys.resource(audit), mapping={"state": JobState.JOB_STATE_CANCELLED, "end_ms": 1})
    with pytest.raises(Fenced):
        await chunks.append(audit, chunk(0), 2)
    with pytest.raises(Fenced):
        await chunks.append(f"audits/{uuid.uuid4()}", chunk(0), 1)
    assert await chunks.list(audit) == []
    assert await regions.count(audit) == 0


async def test_a_chunk_out_of_order_is_a_fault(chunks: Chunks, publish_audit: Any) -> None:
    audit = await publish_audit(0)
    with pytest.raises(ValueError, match="chunk 1"):
        await chunks.append(audit, chunk(1), 1)
