"""Who may write about a job: the newest attempt, until the job ends."""

import asyncio
import uuid

import pytest
from defuse.v1.audit_service_pb2 import Audit, Region
from defuse.v1.error_reason_pb2 import (
    ERROR_REASON_ENGINE_CRASHED,
    ERROR_REASON_INTERNAL,
    ERROR_REASON_WORKER_DIED,
)
from defuse.v1.models_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_CANCELLING,
    JOB_STATE_FAILED,
    JOB_STATE_QUEUED,
    JOB_STATE_RUNNING,
    JOB_STATE_SUCCEEDED,
    Failure,
    Progress,
)
from defuse_server.errors import Fenced, NotFound
from defuse_server.findings.chunks import Chunk
from defuse_server.records.creation import NewResource
from defuse_server.worker.fence import CancelRequested, Fence, Outcome
from defuse_server.worker.supervisor import Supervisor

LEASE_S = 0.2


@pytest.fixture
def first(redis):
    """A worker's fence."""
    return Fence(redis, "first", LEASE_S)


@pytest.fixture
def second(redis):
    """Another worker's fence."""
    return Fence(redis, "second", LEASE_S)


@pytest.fixture
async def job(backend) -> str:
    request = str(uuid.uuid4())
    made, _ = await backend.resources.create(NewResource(Audit(state=JOB_STATE_QUEUED), request, b""))
    return made.name


def chunk(shard: int) -> Chunk:
    return Chunk(
        shard=shard, sha256="a" * 64, size_bytes=1, records=7, candidates=70, arrays_sha256="b" * 64, seeds=5
    )


async def test_a_claimed_job_runs_and_no_other_worker_gets_it(backend, first, second, job):
    claim = await first.claim(job)
    assert (claim.outcome, claim.attempt.number, claim.deaths) == (Outcome.CLAIMED, 1, 0)
    assert (await backend.resources.get(job)).state == JOB_STATE_RUNNING
    assert (await second.claim(job)).outcome is Outcome.BUSY
    # It stays so for as long as the worker gives signs of life.
    for _ in range(4):
        await asyncio.sleep(LEASE_S / 4)
        await claim.attempt.heartbeat()
        assert (await second.claim(job)).outcome is Outcome.BUSY


async def test_an_attempt_that_was_overtaken_can_write_nothing(backend, first, second, job):
    old = (await first.claim(job)).attempt
    await backend.chunks.append(job, chunk(0), old.number)
    await asyncio.sleep(LEASE_S)
    claim = await second.claim(job)
    assert (claim.attempt.number, claim.deaths) == (2, 1)

    audit = await backend.resources.get(job)
    for write in (
        lambda: old.heartbeat(),
        lambda: old.progress(Progress(stage="identify")),
        lambda: old.update(Audit(display_name="stale")),
        lambda: old.remember("regions_artifact", "stale"),
        lambda: old.succeed(Audit(display_name="stale")),
        lambda: old.fail(Audit(), Failure()),
        lambda: old.end_cancelled(Audit()),
        lambda: old.release(),
        lambda: backend.chunks.append(job, chunk(1), old.number),
        lambda: backend.regions.publish(job, Region(name=f"{job}/regions/0"), old.number),
    ):
        with pytest.raises(Fenced):
            await write()
    now = await backend.resources.get(job)
    now.progress.heartbeat_age.CopyFrom(audit.progress.heartbeat_age)
    assert now == audit
    # The new one goes on where the old one stopped; a chunk that is there is not counted again.
    assert not await backend.chunks.append(job, chunk(0), claim.attempt.number)
    assert await backend.chunks.append(job, chunk(1), claim.attempt.number)
    now = await backend.resources.get(job)
    assert (now.misclassification_count, now.seed_count) == (14, 10)


async def test_nothing_is_written_about_a_job_that_has_ended(backend, first, job):
    attempt = (await first.claim(job)).attempt
    await attempt.succeed(Audit(display_name="done"))
    for write in (
        lambda: attempt.heartbeat(),
        lambda: attempt.update(Audit()),
        lambda: attempt.fail(Audit(), Failure()),
        lambda: backend.chunks.append(job, chunk(0), attempt.number),
    ):
        with pytest.raises(Fenced):
            await write()
    done = await backend.resources.get(job)
    assert (done.state, done.display_name) == (JOB_STATE_SUCCEEDED, "done")
    assert (await first.claim(job)).outcome is Outcome.OVER


async def test_a_job_that_is_deleted_is_over(backend, first, job):
    attempt = (await first.claim(job)).attempt
    await attempt.fail(Audit(), Failure(reason=ERROR_REASON_ENGINE_CRASHED, message="why"))
    assert (await backend.resources.get(job)).failure.message == "why"
    await backend.resources.delete(job)
    assert (await first.claim(job)).outcome is Outcome.OVER
    with pytest.raises(NotFound):
        await backend.jobs.cancel(job)


async def test_a_cancel_reaches_the_worker_and_outweighs_its_result(backend, first, job):
    attempt = (await first.claim(job)).attempt
    assert (await backend.jobs.cancel(job)).state == JOB_STATE_CANCELLING
    with pytest.raises(CancelRequested):
        await attempt.heartbeat()
    with pytest.raises(CancelRequested):
        await attempt.succeed(Audit(display_name="too late"))
    await attempt.end_cancelled(Audit(display_name="what is known"))
    ended = await backend.resources.get(job)
    assert (ended.state, ended.display_name) == (JOB_STATE_CANCELLED, "what is known")


async def test_a_cancel_survives_the_worker_that_should_have_seen_it(backend, first, second, job, tmp_path):
    await first.claim(job)
    await backend.jobs.cancel(job)
    await asyncio.sleep(LEASE_S)
    await Supervisor(backend, second, tmp_path).run(job)
    assert (await backend.resources.get(job)).state == JOB_STATE_CANCELLED


async def test_the_third_death_of_its_worker_fails_a_job_with_what_is_known(backend, first, job, tmp_path):
    for number in range(3):
        attempt = (await first.claim(job)).attempt
        await attempt.progress(Progress(stage="identify", done=number, total=9, unit="seeds"))
        await backend.chunks.append(job, chunk(number), attempt.number)
        await asyncio.sleep(LEASE_S)
    assert (await backend.resources.get(job)).state == JOB_STATE_RUNNING
    await Supervisor(backend, first, tmp_path).run(job)
    failed = await backend.resources.get(job)
    assert failed.state == JOB_STATE_FAILED
    assert failed.failure.reason == ERROR_REASON_WORKER_DIED
    assert "identify at 2 of 9 seeds" in failed.failure.message
    assert failed.misclassification_count == 21
    assert len(await backend.chunks.list(job)) == 3


async def test_a_job_that_was_given_back_counts_no_death(backend, first, second, job):
    for number in range(1, 6):
        claim = await first.claim(job)
        assert (claim.outcome, claim.attempt.number, claim.deaths) == (Outcome.CLAIMED, number, 0)
        await claim.attempt.release()
    # And the next worker need not wait for the lease to run out.
    assert (await second.claim(job)).outcome is Outcome.CLAIMED


async def test_a_job_is_open_to_workers_of_its_kind_until_it_ends(backend, first, job):
    assert await backend.jobs.open_to({"audits"}) == [job]
    assert await backend.jobs.open_to({"corrections"}) == []
    attempt = (await first.claim(job)).attempt
    # Its worker may die.
    assert await backend.jobs.open_to({"audits"}) == [job]
    await attempt.succeed(Audit())
    assert await backend.jobs.open_to({"audits"}) == []


async def test_a_job_that_fails_in_its_first_moment_ends_too(backend, first, job, tmp_path):
    # Without a work folder the computation is over while the heartbeat's first command is under way.
    run = asyncio.create_task(Supervisor(backend, first, tmp_path / "missing").run(job))
    await asyncio.wait([run], timeout=20)
    failed = await backend.resources.get(job)
    was_done = run.done()
    run.cancel()
    await asyncio.wait([run], timeout=5)
    assert was_done
    assert failed.state == JOB_STATE_FAILED
    assert failed.failure.reason == ERROR_REASON_INTERNAL
