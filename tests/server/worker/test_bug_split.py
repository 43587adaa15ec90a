"""A bug that annotators call mixed comes back as new bugs, through a real worker and engine."""

import asyncio

import pytest
from defuse.v1.audit_service_pb2 import (
    REGION_STATE_MIXED,
    REGION_STATE_UNLABELED,
    Audit,
    Bug,
)
from defuse.v1.label_service_pb2 import LABEL_VERDICT_MIXED, LabelAnswer
from defuse.v1.models_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_QUEUED,
    JOB_STATE_RUNNING,
    JOB_STATE_SUCCEEDED,
)
from defuse_server import redis_keys
from defuse_server.names import region_split_name

from tests.server.worker.tiny_jobs import POLICY

pytestmark = pytest.mark.xdist_group("shared audit")


async def until_split(backend, name: str) -> Bug:
    """Return the bug once it has parts or says why not."""
    async with asyncio.timeout(90.0):
        while True:
            bug = await backend.bugs.get(name)
            if bug.parts or bug.unsplit_reason:
                return bug
            await asyncio.sleep(0.02)


MIXED = LabelAnswer(verdict=LABEL_VERDICT_MIXED)


async def answer(backend, audit: Audit, name: str, given: LabelAnswer, annotator: str = "ada") -> None:
    """Answer to one bug, and give the others back."""
    for task in await backend.labels.lease(audit.name, annotator, 100, 60.0):
        if task.region == name:
            await backend.labels.submit(task.region, task.lease_token, given, "")
        else:
            await backend.labels.release(task.region, task.lease_token)


async def of_one_cell(backend, audit: Audit) -> Bug:
    """Make bug 0 one of a single cell: the region of the most codes."""
    cell = max(await backend.regions.all(audit.name), key=lambda region: region.size).name
    bug = (await backend.labeling.bugs(audit.name))[0]
    bug.cells[:], bug.shown_cells[:] = [cell], [cell]
    await backend.redis.hset(redis_keys.bugs(audit.name), "0", bug.SerializeToString())
    return bug


@pytest.fixture
async def largest(audit, backend) -> Bug:
    """The bug of most cells."""
    return max(await backend.bugs.all(audit.name), key=lambda bug: len(bug.cells))


@pytest.fixture
async def parts(audit, largest, backend, tiny, once) -> list[Bug]:
    """The parts of that bug, which people called mixed."""
    assert len(largest.cells) > 1

    async def work() -> list[Bug]:
        await answer(backend, audit, largest.name, MIXED)
        parent = await until_split(backend, largest.name)
        job = await tiny.ended(region_split_name(audit.name))
        assert job.state == JOB_STATE_SUCCEEDED, job.failure
        assert list(job.regions) == [largest.name]
        return [await backend.bugs.get(name) for name in parent.parts]

    return await once("parts of a bug", work)


async def test_a_bug_of_several_cells_becomes_two_bugs(parts, largest, backend):
    assert [part.parent for part in parts] == [largest.name] * 2
    parent = await backend.bugs.get(largest.name)
    assert (parent.state, parent.unsplit_reason) == (REGION_STATE_MIXED, "")


async def test_the_parts_of_a_bug_share_its_cells(parts, largest):
    assert sorted(cell for part in parts for cell in part.cells) == sorted(largest.cells)


async def test_regions_stay_what_they_were_and_are_cells_of_a_part(parts, audit, backend):
    assert (await backend.resources.get(audit.name)).region_count == audit.region_count
    assert (await backend.regions.get(parts[0].cells[0])).bug == parts[0].name


async def test_annotators_get_the_parts(parts, audit, backend):
    assert {part.state for part in parts} == {REGION_STATE_UNLABELED}
    tasks = {task.region for task in await backend.labels.lease(audit.name, "ben", 100, 60.0)}
    assert {part.name for part in parts} <= tasks


async def test_cells_have_the_label_of_their_part(parts, audit, backend):
    """One part is what its seeds show; two annotators read the other as the classifier does."""
    one, other = parts
    await answer(backend, audit, one.name, LabelAnswer(label=one.seed_label))
    for annotator in ("ada", "ben"):
        await answer(backend, audit, other.name, LabelAnswer(label=other.predicted_class), annotator)
    labels = {region.name: region for region in await backend.regions.all(audit.name)}
    assert {labels[cell].label for cell in one.cells} == {one.seed_label}
    assert {labels[cell].label for cell in other.shown_cells} == {other.predicted_class}
    assert one.seed_label != other.predicted_class


async def test_a_bug_of_one_cell_is_split_by_its_codes(audit, backend, start_worker):
    bug = await of_one_cell(backend, audit)
    start_worker()
    await answer(backend, audit, bug.name, MIXED)
    parent = await until_split(backend, bug.name)
    assert len(parent.parts) >= 2, parent.unsplit_reason
    for part in parent.parts:
        (cell,) = (await backend.bugs.get(part)).cells
        assert (await backend.regions.get(cell)).parent == bug.cells[0]


async def test_a_split_between_two_gate_commands_begins_no_other_evaluation(
    audit, backend, tiny, start_worker
):
    """The split is of a bug of one cell: it brings new regions, and another file of them."""
    bug = await of_one_cell(backend, audit)
    await answer(backend, audit, (await backend.bugs.all(audit.name))[-1].name, LabelAnswer(label=1))
    models = {"baseline": audit.classifier, "candidate": audit.classifier, "audit": audit.name}
    first = await tiny.evaluation(**models, policy=POLICY)
    await answer(backend, audit, bug.name, MIXED)
    start_worker()
    assert (await until_split(backend, bug.name)).parts
    assert await backend.regions.artifact(audit.name) != first.regions_artifact
    assert (await tiny.evaluation(**models, policy=POLICY)).name == first.name
    done = await tiny.succeeded(first.name)
    assert done.input_digest == first.input_digest
    assert (await tiny.evaluation(**models, policy=POLICY)).name == first.name


async def test_a_split_goes_before_long_jobs_that_wait(audit, largest, backend, tiny, start_worker):
    models = {"baseline": audit.classifier, "candidate": audit.classifier, "audit": audit.name}
    long = await tiny.evaluation(**models, policy=POLICY)
    await answer(backend, audit, largest.name, MIXED)
    (split,) = await backend.region_splits.begin()
    waiting = [await backend.resources.get(name) for name in (long.name, split)]
    assert [job.state for job in waiting] == [JOB_STATE_QUEUED] * 2
    assert [job.progress.queue_position for job in waiting] == [1, 0]
    start_worker()
    done = await tiny.succeeded(long.name)
    ended = await tiny.succeeded(split)
    assert ended.times.end_time.ToNanoseconds() <= done.times.start_time.ToNanoseconds()


async def test_a_long_job_that_is_cancelled_before_it_begins_does_not_stop_the_split_before_it(
    audit, largest, backend, tiny, start_worker
):
    models = {"baseline": audit.classifier, "candidate": audit.classifier, "audit": audit.name}
    long = await tiny.evaluation(**models, policy=POLICY)
    await answer(backend, audit, largest.name, MIXED)
    (split,) = await backend.region_splits.begin()
    worker = start_worker()
    await tiny.until(split, lambda job: job.state == JOB_STATE_RUNNING and worker.engines)
    assert (await backend.jobs.cancel(long.name)).state == JOB_STATE_CANCELLED
    done = await tiny.succeeded(split)
    assert done.progress.attempt == 1
    assert (await backend.bugs.get(largest.name)).parts
