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
from defuse.v1.models_pb2 import JOB_STATE_SUCCEEDED
from defuse_server.names import region_split_name

pytestmark = pytest.mark.xdist_group("shared audit")


async def until_split(backend, name: str) -> Bug:
    """Return the bug once it has parts or says why not."""
    async with asyncio.timeout(90.0):
        while True:
            bug = await backend.bugs.get(name)
            if bug.parts or bug.unsplit_reason:
                return bug
            await asyncio.sleep(0.02)


async def call_mixed(backend, audit: Audit, name: str) -> None:
    """Answer mixed to one bug, and give the others back."""
    for task in await backend.labels.lease(audit.name, "ada", 100, 60.0):
        if task.region == name:
            answer = LabelAnswer(verdict=LABEL_VERDICT_MIXED)
            await backend.labels.submit(task.region, task.lease_token, answer, "")
        else:
            await backend.labels.release(task.region, task.lease_token)


@pytest.fixture
async def largest(audit, backend) -> Bug:
    """The bug of most cells."""
    return max(await backend.bugs.all(audit.name), key=lambda bug: len(bug.cells))


@pytest.fixture
async def split(audit, largest, backend, tiny, start_worker) -> Bug:
    start_worker()
    await call_mixed(backend, audit, largest.name)
    parent = await until_split(backend, largest.name)
    job = await tiny.ended(region_split_name(audit.name))
    assert job.state == JOB_STATE_SUCCEEDED, job.failure
    assert list(job.regions) == [largest.name]
    return parent


async def test_a_bug_of_several_cells_becomes_two_bugs_that_share_them(audit, largest, split, backend):
    assert len(largest.cells) > 1
    assert (split.state, split.unsplit_reason) == (REGION_STATE_MIXED, "")
    parts = [await backend.bugs.get(name) for name in split.parts]
    assert [part.parent for part in parts] == [split.name] * 2
    assert sorted(cell for part in parts for cell in part.cells) == sorted(largest.cells)
    # The regions are what they were.
    assert (await backend.resources.get(audit.name)).region_count == audit.region_count
    # Annotators get the parts, and a region is now a cell of a part.
    tasks = {task.region for task in await backend.labels.lease(audit.name, "ben", 100, 60.0)}
    assert set(split.parts) <= tasks
    assert {part.state for part in parts} == {REGION_STATE_UNLABELED}
    assert (await backend.regions.get(parts[0].cells[0])).bug == parts[0].name


async def test_a_bug_of_one_cell_is_split_by_its_codes(audit, backend, split):
    name = min(
        (bug for bug in await backend.bugs.all(audit.name) if not bug.parts), key=lambda bug: len(bug.cells)
    ).name
    while len((await backend.bugs.get(name)).cells) > 1:
        await call_mixed(backend, audit, name)
        parts = [await backend.bugs.get(part) for part in (await until_split(backend, name)).parts]
        name = min(parts, key=lambda part: len(part.cells)).name
    alone = await backend.bugs.get(name)
    await call_mixed(backend, audit, name)
    parent = await until_split(backend, name)
    if parent.unsplit_reason:
        assert "codes" in parent.unsplit_reason or "convinces" in parent.unsplit_reason
        return
    for part in parent.parts:
        (cell,) = (await backend.bugs.get(part)).cells
        assert (await backend.regions.get(cell)).parent == alone.cells[0]
