"""A region that annotators call mixed comes back as new regions, through a real worker and engine.

The audits are as servers before bugs left them: people label their regions one by one.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from defuse.v1.audit_service_pb2 import (
    REGION_STATE_LABELED,
    REGION_STATE_MIXED,
    REGION_STATE_UNLABELED,
    Audit,
    Region,
    RegionSplit,
)
from defuse.v1.correction_service_pb2 import Correction, CorrectionConfig
from defuse.v1.error_reason_pb2 import ERROR_REASON_WORKER_DIED
from defuse.v1.label_service_pb2 import LABEL_VERDICT_MIXED, LabelAnswer
from defuse.v1.models_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_CANCELLING,
    JOB_STATE_FAILED,
    JOB_STATE_QUEUED,
    JOB_STATE_RUNNING,
    JOB_STATE_SUCCEEDED,
)
from defuse_server import redis_keys
from defuse_server.errors import Fenced, RegionClosed
from defuse_server.evaluations import frozen_labels
from defuse_server.findings.region_splits import RegionSplitOutcome
from defuse_server.names import artifact_sha256, region_name, region_split_name
from defuse_server.worker.fence import Fence

pytestmark = pytest.mark.xdist_group("shared audit")

MIXED = LabelAnswer(verdict=LABEL_VERDICT_MIXED)
LABELS = "test"
BOTH = ("one", "another")


async def forget_bugs(backend, audit: Audit) -> None:
    """Make an audit one of a server before bugs."""
    keys = [redis_keys.bugs, redis_keys.label_tasks, redis_keys.label_states, redis_keys.label_places]
    await backend.redis.delete(*(key(audit.name) for key in keys))
    wanted = audit.config.annotators_per_region
    await backend.labels.open(audit.name, range(audit.region_count), wanted)


@pytest.fixture
async def audit(audit, backend) -> Audit:
    await forget_bugs(backend, audit)
    return audit


async def answer(backend, audit: Audit, answers: dict[int, LabelAnswer], annotator: str = LABELS) -> None:
    """Give some regions their answers, and the others back."""
    for task in await backend.labels.lease(audit.name, annotator, 100, 60.0):
        number = int(task.region.rpartition("/")[2])
        if number in answers:
            await backend.labels.submit(task.region, task.lease_token, answers[number], "")
        else:
            await backend.labels.release(task.region, task.lease_token)


async def until(condition: Callable[[], Awaitable[Any]], patience_s: float = 90.0) -> None:
    async with asyncio.timeout(patience_s):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


async def until_split(backend, audit: Audit, number: int) -> Region:
    """The region, once it has parts or says why not."""
    name = region_name(audit.name, number)

    async def split() -> bool:
        region = await backend.regions.get(name)
        return bool(region.parts or region.unsplit_reason)

    await until(split)
    return await backend.regions.get(name)


@dataclass(frozen=True)
class Split:
    """What became of an audit's region 0, which two annotators called mixed."""

    audit: Audit
    artifact_before: str
    """The audit's regions as a file, before the split."""
    parent: Region
    parts: list[Region]
    """The regions that stand behind those of the audit."""
    job: RegionSplit


@pytest.fixture
async def split(tiny, backend, once) -> Split:
    async def work() -> Split:
        audit = await tiny.audit(annotators_per_region=2, agreement_threshold=0.8)
        audit = await tiny.succeeded(audit.name)
        await forget_bugs(backend, audit)
        before = await backend.regions.artifact(audit.name)
        for annotator in BOTH:
            await answer(backend, audit, {0: MIXED}, annotator)
        parent = await until_split(backend, audit, 0)
        parts = await backend.regions.range(audit.name, audit.region_count, 100)
        return Split(audit, before, parent, parts, await tiny.succeeded(region_split_name(audit.name)))

    return await once("split", work)


def test_a_mixed_region_stays_mixed_and_names_its_parts(split):
    assert (split.parent.state, split.parent.unsplit_reason) == (REGION_STATE_MIXED, "")
    assert list(split.parent.parts) == [part.name for part in split.parts]
    assert len(split.parts) >= 2


def test_parts_stand_behind_all_other_regions_the_largest_harm_first(split):
    count = split.audit.region_count
    numbers = range(count, count + len(split.parts))
    assert [part.name for part in split.parts] == [region_name(split.audit.name, n) for n in numbers]
    harms = [part.harm.value for part in split.parts]
    assert harms == sorted(harms, reverse=True)


async def test_parts_are_regions_with_pictures_of_their_own(split, backend):
    for part in split.parts:
        assert (part.parent, part.state) == (split.parent.name, REGION_STATE_UNLABELED)
        assert (part.seed_label, part.size < split.parent.size) == (split.parent.seed_label, True)
        for sheet in (part.sheet, part.nearest_sheet):
            content = await backend.store.read(artifact_sha256(sheet.artifact), 0, 8)
            assert content == b"\x89PNG\r\n\x1a\n"


async def test_the_audits_record_and_its_file_of_regions_have_the_parts_too(split, backend):
    audit = await backend.resources.get(split.audit.name)
    assert audit.region_count == split.audit.region_count + len(split.parts)
    after = await backend.regions.artifact(audit.name)
    assert after != split.artifact_before
    assert {part.regions_artifact for part in split.parts} == {after}


def test_the_split_names_its_region(split):
    assert list(split.job.regions) == [split.parent.name]


async def test_an_answer_that_led_to_a_split_can_not_be_taken_back(split, backend):
    with pytest.raises(RegionClosed):
        await backend.labels.undo(split.parent.name, BOTH[0])


async def test_as_many_annotators_get_the_parts_as_the_other_regions(split, backend):
    tasks, _ = await backend.labeling.list(split.audit.name, 100, "")
    wanted = {task.region: task.wanted_count for task in tasks}
    assert {wanted[part.name] for part in split.parts} == {2}


async def test_labels_of_parts_alone_are_enough_for_a_correction(split, tiny, backend, start_worker):
    """It keeps the file of regions that it used."""
    start_worker()
    for annotator in BOTH:
        await answer(backend, split.audit, {split.audit.region_count: LabelAnswer(label=1)}, annotator)
    assert (await backend.regions.get(split.parts[0].name)).state == REGION_STATE_LABELED
    labels = await frozen_labels.for_correction(backend, split.audit.name, with_proposals=True)
    assert (labels.labeled_region_count, labels.confirmed_region_count) == (1, 1)
    assert labels.regions_artifact == split.parts[0].regions_artifact
    correction = await tiny.submit(
        Correction(
            state=JOB_STATE_QUEUED,
            audit=split.audit.name,
            label_set_digest=labels.digest,
            regions_artifact=labels.regions_artifact,
            config=CorrectionConfig(seed=1, epochs=4, learning_rate=0.05),
        )
    )
    done = await tiny.succeeded(correction.name)
    (chosen,) = [point for point in done.curve if point.chosen]
    assert chosen.region_accuracy > done.baseline.region_accuracy


async def test_a_region_is_split_only_when_all_have_answered(make_publisher, backend, redis, resources):
    audit = await make_publisher(redis, resources, backend.regions, backend.labels)(1, wanted=2)
    await redis.hset(redis_keys.resource(audit), "state", JOB_STATE_SUCCEEDED)
    await answer(backend, Audit(name=audit), {0: MIXED}, BOTH[0])
    assert await backend.region_splits.begin() == []
    await answer(backend, Audit(name=audit), {0: MIXED}, BOTH[1])
    assert await backend.region_splits.begin() == [region_split_name(audit)]


async def test_regions_that_become_mixed_later_are_split_next(audit, tiny, backend, start_worker):
    start_worker()
    assert audit.region_count > 1
    await answer(backend, audit, {0: MIXED})
    first = await until_split(backend, audit, 0)
    await tiny.ended(region_split_name(audit.name))
    await answer(backend, audit, {1: MIXED})
    second = await until_split(backend, audit, 1)
    assert first.parts
    assert not set(first.parts) & set(second.parts)
    split = await tiny.ended(region_split_name(audit.name))
    assert split.state == JOB_STATE_SUCCEEDED, split.failure
    assert list(split.regions) == [second.name]
    # What the first split published is as it was.
    assert await backend.regions.get(first.name) == first


async def test_a_split_whose_worker_is_killed_is_done_by_another_once(audit, tiny, backend, start_worker):
    worker = start_worker()
    await answer(backend, audit, {0: MIXED})
    split = region_split_name(audit.name)
    await until(lambda: backend.redis.exists(redis_keys.resource(split)))
    await tiny.until(split, lambda job: job.state == JOB_STATE_RUNNING and worker.engines)
    worker.signal(signal.SIGKILL)
    assert not (await backend.regions.get(region_name(audit.name, 0))).parts
    start_worker()
    parent = await until_split(backend, audit, 0)
    done = await tiny.ended(split)
    assert done.progress.attempt > 1
    parts = await backend.regions.range(audit.name, audit.region_count, 100)
    assert list(parent.parts) == [part.name for part in parts]
    assert len(parts) >= 2
    leased = await backend.labels.lease(audit.name, LABELS, 100, 60.0)
    assert {part.name for part in parts} <= {task.region for task in leased}


async def test_a_worker_that_died_after_publishing_is_followed_by_one_that_opens_the_parts(
    audit, tiny, backend, start_worker
):
    start_worker()
    await answer(backend, audit, {0: MIXED})
    parent = await until_split(backend, audit, 0)
    split = region_split_name(audit.name)
    await tiny.ended(split)
    numbers = [int(part.rpartition("/")[2]) for part in parent.parts]
    # As the worker would leave it: published, not opened, not ended.
    await backend.redis.hdel(redis_keys.label_tasks(audit.name), *map(str, numbers))
    await backend.redis.hdel(redis_keys.label_states(audit.name), *map(str, numbers))
    await backend.redis.hset(redis_keys.resource(split), "state", JOB_STATE_RUNNING)
    await backend.redis.hdel(redis_keys.resource(split), "end_ms", "released")
    await backend.redis.sadd(redis_keys.RUNNING, split)
    done = await tiny.ended(split)
    assert done.state == JOB_STATE_SUCCEEDED, done.failure
    leased = await backend.labels.lease(audit.name, "another", 100, 60.0)
    assert set(parent.parts) <= {task.region for task in leased}
    assert (await backend.resources.get(audit.name)).region_count == audit.region_count + len(numbers)


async def test_what_comes_of_three_splits_is_not_split_again(
    make_publisher, backend, redis, resources, start_worker
):
    """Region 3 comes from three splits. Region 2 comes from two and goes on to an engine without models."""
    audit = await make_publisher(redis, resources, backend.regions, backend.labels)(4)
    for number in (1, 2, 3):
        region = make_publisher.region(audit, number)
        region.parent = region_name(audit, number - 1)
        await redis.hset(redis_keys.regions(audit), str(number), region.SerializeToString())
    await redis.hset(redis_keys.resource(audit), "state", JOB_STATE_SUCCEEDED)
    await answer(backend, Audit(name=audit), {2: MIXED, 3: MIXED})
    start_worker()
    two, three = [await until_split(backend, Audit(name=audit), number) for number in (2, 3)]
    assert "comes from 3 splits" in three.unsplit_reason
    assert "the region split failed" in two.unsplit_reason
    assert not two.parts
    assert not three.parts


async def test_an_answer_that_is_taken_back_in_time_leaves_nothing_to_split(
    make_publisher, backend, redis, resources
):
    audit = await make_publisher(redis, resources, backend.regions, backend.labels)(2)
    await answer(backend, Audit(name=audit), {0: MIXED, 1: MIXED})
    await redis.hset(redis_keys.resource(audit), "state", JOB_STATE_SUCCEEDED)
    await backend.labels.undo(region_name(audit, 0), LABELS)
    assert await backend.region_splits.begin() == [region_split_name(audit)]
    # One at a time.
    assert await backend.region_splits.begin() == []
    claim = await Fence(redis, "worker", 10.0).claim(region_split_name(audit))
    assert claim.deaths == 0
    assert await backend.region_splits.take(region_split_name(audit), claim.attempt.number) == [1]


@pytest.fixture
async def unfinished(make_publisher, backend, redis, resources) -> str:
    """An audit that a worker is at: region 0 is mixed, 1 has no answer, 2 has a label."""
    audit = await make_publisher(redis, resources, backend.regions, backend.labels)(3)
    await answer(backend, Audit(name=audit), {0: MIXED, 2: LabelAnswer(label=1)})
    return audit


@pytest.fixture(params=[JOB_STATE_FAILED, JOB_STATE_CANCELLED])
async def unsuccessful(unfinished, redis, request) -> str:
    """The audit after it ended without success."""
    await redis.hset(redis_keys.resource(unfinished), "state", request.param)
    return unfinished


@pytest.mark.parametrize("state", [JOB_STATE_RUNNING, JOB_STATE_CANCELLING])
async def test_mixed_regions_of_an_audit_that_may_still_succeed_wait(unfinished, backend, redis, state):
    await redis.hset(redis_keys.resource(unfinished), "state", state)
    assert await backend.region_splits.begin() == []
    assert (await backend.regions.get(region_name(unfinished, 0))).unsplit_reason == ""


async def test_regions_of_an_audit_without_success_stay_whole_and_say_so(unsuccessful, backend, redis):
    revision = int(await redis.hget(redis_keys.resource(unsuccessful), "revision"))
    assert await backend.region_splits.begin() == []
    region = await backend.regions.get(region_name(unsuccessful, 0))
    assert region.state == REGION_STATE_MIXED
    assert "only regions of an audit that succeeded are split" in region.unsplit_reason
    assert await backend.redis.smembers(redis_keys.LABEL_MIXED) == set()
    assert int(await redis.hget(redis_keys.resource(unsuccessful), "revision")) == revision + 1
    assert not await redis.exists(redis_keys.resource(region_split_name(unsuccessful)))


async def test_the_answer_that_a_whole_region_rests_on_stays(unsuccessful, backend):
    await backend.region_splits.begin()
    with pytest.raises(RegionClosed):
        await backend.labels.undo(region_name(unsuccessful, 0), LABELS)


async def test_only_mixed_regions_say_why_they_are_whole(unsuccessful, backend):
    await backend.region_splits.begin()
    others = [await backend.regions.get(region_name(unsuccessful, number)) for number in (1, 2)]
    assert {region.unsplit_reason for region in others} == {""}


async def test_what_becomes_mixed_after_an_audits_failure_says_so_too(unsuccessful, backend):
    await backend.region_splits.begin()
    name = region_name(unsuccessful, 1)
    await answer(backend, Audit(name=unsuccessful), {1: MIXED}, "another")
    assert await backend.redis.smembers(redis_keys.LABEL_MIXED) == {name.encode()}
    assert await backend.region_splits.begin() == []
    assert await backend.redis.smembers(redis_keys.LABEL_MIXED) == set()
    assert "only regions of an audit that succeeded" in (await backend.regions.get(name)).unsplit_reason


async def test_only_who_has_the_split_publishes(make_publisher, backend, redis, resources):
    audit = await make_publisher(redis, resources, backend.regions, backend.labels)(1)
    split = region_split_name(audit)
    await answer(backend, Audit(name=audit), {0: MIXED})
    assert await backend.region_splits.begin() == []
    await redis.hset(redis_keys.resource(audit), "state", JOB_STATE_SUCCEEDED)
    await backend.region_splits.begin()
    old = (await Fence(redis, "old", 0.0).claim(split)).attempt.number
    new = (await Fence(redis, "new", 0.0).claim(split)).attempt.number
    part = make_publisher.region(audit, 1)
    for call in (
        lambda: backend.region_splits.take(split, old),
        lambda: backend.region_splits.publish(
            split, old, {0: RegionSplitOutcome((1,))}, [part], "artifacts/" + "0" * 64
        ),
    ):
        with pytest.raises(Fenced):
            await call()
    assert await backend.regions.count(audit) == 1
    # Once more, as after a broken connection, changes nothing.
    for _ in range(2):
        await backend.region_splits.publish(
            split, new, {0: RegionSplitOutcome((1,))}, [part], "artifacts/" + "0" * 64
        )
    assert (await backend.regions.get(region_name(audit, 0))).parts == [part.name]
    assert await backend.region_splits.take(split, new) == []


async def test_a_split_whose_workers_all_die_leaves_the_region_whole_and_says_so(
    audit, tiny, backend, start_worker
):
    split = region_split_name(audit.name)
    await answer(backend, audit, {0: MIXED})
    await backend.region_splits.begin()
    await backend.redis.hset(redis_keys.resource(split), "deaths", 3)
    start_worker()
    region = await until_split(backend, audit, 0)
    assert region.state == REGION_STATE_MIXED
    assert not region.parts
    assert "died 3 times" in region.unsplit_reason
    ended = await tiny.ended(split)
    assert (ended.state, ended.failure.reason) == (JOB_STATE_FAILED, ERROR_REASON_WORKER_DIED)
    # It is over: nothing waits, and nothing begins again.
    assert await backend.region_splits.begin() == []
    assert (await backend.resources.get(audit.name)).region_count == audit.region_count


async def test_a_deleted_audit_leaves_nothing_to_split(audit, backend, start_worker):
    start_worker()
    await answer(backend, audit, {0: MIXED})
    await until_split(backend, audit, 0)
    await backend.redis.sadd(redis_keys.LABEL_MIXED, region_name(audit.name, 1))
    await backend.resources.delete(audit.name)

    async def nobody_waits() -> bool:
        return not await backend.redis.scard(redis_keys.LABEL_MIXED)

    await until(nobody_waits)
    assert await backend.redis.keys(f"*{audit.name}*") == []
