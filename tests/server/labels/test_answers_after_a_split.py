"""Answers that are on their way while a bug is split: each holds for the cells that it was about."""

import asyncio
from collections.abc import Sequence

import pytest
from defuse.v1.audit_service_pb2 import REGION_STATE_MIXED, REGION_STATE_UNLABELED, Bug
from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict
from defuse.v1.models_pb2 import JobState
from defuse_server import redis_keys
from defuse_server.errors import LeaseLost
from defuse_server.findings.region_splits import RegionSplitOutcome, RegionSplits
from defuse_server.names import FIRST_BUG, region_name
from defuse_server.worker.fence import Fence

SEEDS_LABEL, OTHER = 2, 1
MIXED = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)


@pytest.fixture
def split(redis, labels):
    """Split bug 0 as a worker does, into bugs of these cells with the numbers 2, 3, ..."""

    async def publish(audit: str, parts: Sequence[Sequence[int]]) -> None:
        await redis.hset(redis_keys.resource(audit), "state", JobState.JOB_STATE_SUCCEEDED)
        splits = RegionSplits(redis)
        (name,) = await splits.begin()
        number = (await Fence(redis, "worker", 10.0).claim(name)).attempt.number
        assert await splits.take(name, number) == [FIRST_BUG]
        numbers = range(2, 2 + len(parts))
        bugs = [
            Bug(
                name=f"{audit}/bugs/{part}",
                parent=f"{audit}/bugs/0",
                cells=[region_name(audit, cell) for cell in cells],
                shown_cells=[region_name(audit, cell) for cell in cells],
                seed_label=SEEDS_LABEL,
            )
            for part, cells in zip(numbers, parts, strict=True)
        ]
        outcome = RegionSplitOutcome(tuple(FIRST_BUG + part for part in numbers))
        await splits.publish(name, number, {FIRST_BUG: outcome}, bugs=bugs)
        await labels.open(audit, [FIRST_BUG + part for part in numbers], 1)

    return publish


@pytest.fixture
def answer(labels):
    """Give an annotator's answer to one bug, and the other tasks back."""

    async def give(audit, annotator, bug, said) -> None:
        given = LabelAnswer(label=said) if isinstance(said, int) else said
        for task in await labels.lease(audit, annotator, 100, 60.0):
            if task.region == f"{audit}/bugs/{bug}":
                await labels.submit(task.region, task.lease_token, given, "")
            else:
                await labels.release(task.region, task.lease_token)

    return give


@pytest.fixture
def label_of(regions):
    """The labels of an audit's regions, None where there is none."""

    async def read(audit) -> list[int | None]:
        found = await regions.all(audit)
        return [region.label if region.HasField("label") else None for region in found]

    return read


async def test_an_answer_to_another_bug_counts(publish_audit, labels, answer, split, label_of):
    audit = await publish_audit(4, cells=[[0, 1], [2, 3]])
    other, held = await labels.lease(audit, "ben", 2, 60.0)
    await labels.release(other.region, other.lease_token)
    await answer(audit, "ada", 0, MIXED)
    await split(audit, [[0], [1]])
    await labels.submit(held.region, held.lease_token, LabelAnswer(label=SEEDS_LABEL), "")
    assert await label_of(audit) == [None, None, SEEDS_LABEL, SEEDS_LABEL]


async def test_a_label_that_two_saw_in_some_cells_holds_for_these_after_a_split_of_others(
    publish_audit, answer, split, label_of
):
    audit = await publish_audit(5, limit=2, cells=[[0, 1], [2, 3, 4]])
    await answer(audit, "ada", 1, OTHER)
    await answer(audit, "ada", 0, MIXED)
    await split(audit, [[0], [1]])
    await answer(audit, "ben", 1, OTHER)
    # Bug 1 shows the first two of its cells.
    assert await label_of(audit) == [None, None, OTHER, OTHER, None]


async def test_each_part_gives_its_cells_their_label(publish_audit, answer, split, label_of):
    audit = await publish_audit(3, limit=2, cells=[[0, 1, 2]])
    await answer(audit, "ada", 0, MIXED)
    await split(audit, [[0, 2], [1]])
    await answer(audit, "ada", 2, SEEDS_LABEL)
    for annotator in ("ada", "ben"):
        await answer(audit, annotator, 3, OTHER)
    assert await label_of(audit) == [SEEDS_LABEL, OTHER, SEEDS_LABEL]


async def test_a_bug_that_somebody_looks_at_is_not_split(publish_audit, labels, answer, redis):
    audit = await publish_audit(2, wanted=2, cells=[[0, 1]])
    (held,) = await labels.lease(audit, "ben", 1, 60.0)
    await answer(audit, "ada", 0, MIXED)
    await redis.hset(redis_keys.resource(audit), "state", JobState.JOB_STATE_SUCCEEDED)
    assert await RegionSplits(redis).begin() == []
    await labels.submit(held.region, held.lease_token, MIXED, "")
    assert len(await RegionSplits(redis).begin()) == 1


async def test_an_answer_that_was_outvoted_is_kept(publish_audit, answer, split, labeling, bugs):
    audit = await publish_audit(2, wanted=3, cells=[[0, 1]])
    await answer(audit, "ada", 0, MIXED)
    await answer(audit, "ben", 0, SEEDS_LABEL)
    await answer(audit, "cem", 0, MIXED)
    await split(audit, [[0], [1]])
    report = await labeling.report(audit)
    assert {record.annotator: record.answer_count for record in report.annotators} == {
        "ada": 1,
        "ben": 1,
        "cem": 1,
    }
    assert (await bugs.get(f"{audit}/bugs/0")).state == REGION_STATE_MIXED


async def test_an_answer_that_comes_too_late_is_refused_and_labels_no_part(
    publish_audit, labels, answer, split, bugs
):
    audit = await publish_audit(2, cells=[[0, 1]])
    (late,) = await labels.lease(audit, "ben", 1, 0.01)
    await asyncio.sleep(0.02)
    await answer(audit, "ada", 0, MIXED)
    await split(audit, [[0], [1]])
    with pytest.raises(LeaseLost):
        await labels.submit(late.region, late.lease_token, LabelAnswer(label=SEEDS_LABEL), "")
    assert {bug.state for bug in (await bugs.all(audit))[1:]} == {REGION_STATE_UNLABELED}
