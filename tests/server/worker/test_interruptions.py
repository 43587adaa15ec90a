"""Jobs whose workers are killed, paused or stopped, and jobs that are cancelled, all for real."""

import signal
import time
import uuid

import psutil
import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_ENGINE_CRASHED
from defuse.v1.models_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_CANCELLING,
    JOB_STATE_FAILED,
    JOB_STATE_RUNNING,
    JOB_STATE_SUCCEEDED,
)
from defuse.v1.registry_service_pb2 import REGISTRATION_STATE_INSPECTING, Classifier
from defuse_server import redis_keys
from defuse_server.records.creation import NewResource

# Three shards that take half a second or more each, so that a test can meet the search half done.
LONG = {"candidates_per_seed": 50}
# As good as endless.
ENDLESS = {"candidates_per_seed": 10_000}


def searching(audit) -> bool:
    """The first shard is published, and the search goes on."""
    return audit.state == JOB_STATE_RUNNING and audit.misclassification_count > 0 and audit.seed_count > 0


@pytest.fixture
def is_gone():
    """Whether a process has ended (a zombie that nobody waited for counts as ended)."""

    def check(process: psutil.Process) -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return check


async def test_a_job_whose_worker_is_killed_is_resumed_and_ends_with_the_same_bytes(
    tiny, backend, start_worker, eventually, is_gone
):
    first = start_worker()
    audit = await tiny.audit(**LONG)
    await tiny.until(audit.name, searching)
    (engine,) = first.engines
    first.signal(signal.SIGKILL)
    await eventually(lambda: is_gone(engine))

    start_worker()
    done = await tiny.ended(audit.name, patience_s=120)
    assert done.state == JOB_STATE_SUCCEEDED, done.failure
    assert done.progress.attempt == 2
    # What the first attempt published was neither lost nor counted twice.
    chunks = await backend.chunks.list(audit.name)
    assert done.candidate_count == sum(chunk.candidates for chunk in chunks)
    assert done.seed_count == sum(chunk.seeds for chunk in chunks)
    assert done.misclassification_count == sum(chunk.records for chunk in chunks)

    undisturbed = await tiny.audit_of(audit.classifier, audit.vae, audit.dataset, **LONG)
    undisturbed = await tiny.ended(undisturbed.name, patience_s=120)
    assert undisturbed.progress.attempt == 1
    assert await tiny.published(done) == await tiny.published(undisturbed)


async def test_a_worker_that_was_paused_past_its_lease_publishes_nothing_more(
    tiny, backend, start_worker, eventually, is_gone
):
    paused = start_worker()
    audit = await tiny.audit(**LONG)
    await tiny.until(audit.name, searching)
    (engine,) = paused.engines
    paused.signal(signal.SIGSTOP)

    start_worker()
    await tiny.until(audit.name, lambda job: job.progress.attempt == 2)
    paused.signal(signal.SIGCONT)
    # Its engine was computing all the time; it must end, and what it found with it.
    await eventually(lambda: is_gone(engine))
    await eventually(lambda: "job.fenced" in paused.log.read_text())

    done = await tiny.ended(audit.name, patience_s=120)
    assert done.state == JOB_STATE_SUCCEEDED, done.failure
    assert done.progress.attempt == 2
    chunks = await backend.chunks.list(audit.name)
    assert done.misclassification_count == sum(chunk.records for chunk in chunks)


async def test_a_worker_that_is_told_to_stop_hands_its_job_on_unharmed(tiny, backend, start_worker, is_gone):
    first = start_worker()
    audit = await tiny.audit(**LONG)
    await tiny.until(audit.name, searching)
    (engine,) = first.engines
    first.signal(signal.SIGTERM)
    assert first.process.wait(10) == 0
    assert is_gone(engine)
    assert (await backend.resources.get(audit.name)).state == JOB_STATE_RUNNING

    start_worker()
    done = await tiny.ended(audit.name, patience_s=120)
    assert done.state == JOB_STATE_SUCCEEDED, done.failure
    # It was no death: a fleet can be upgraded more than three times during one job.
    assert await backend.redis.hget(redis_keys.resource(audit.name), "deaths") is None


async def test_a_cancelled_job_stops_computing_within_two_seconds(
    tiny, backend, start_worker, eventually, is_gone, settings
):
    worker = start_worker()
    audit = await tiny.audit(**ENDLESS)
    await tiny.until(audit.name, lambda job: job.progress.stage == "identify")
    (engine,) = worker.engines

    begin_s = time.monotonic()
    answer = await backend.jobs.cancel(audit.name)
    assert answer.state == JOB_STATE_CANCELLING
    await eventually(lambda: is_gone(engine))
    assert time.monotonic() - begin_s < 2.0

    ended = await tiny.ended(audit.name)
    assert ended.state == JOB_STATE_CANCELLED
    assert ended.times.end_time.seconds
    assert not ended.HasField("failure")
    await eventually(lambda: not list((settings.state_dir / "work").glob("*/*")))
    # A job that has ended stays as it is.
    assert (await backend.jobs.cancel(audit.name)).state == JOB_STATE_CANCELLED


async def test_a_job_that_is_cancelled_in_the_queue_never_runs(tiny, backend, start_worker):
    audit = await tiny.audit()
    assert (await backend.jobs.cancel(audit.name)).state == JOB_STATE_CANCELLED
    later = await tiny.classifier()
    start_worker()
    await tiny.until(later.name, lambda classifier: classifier.class_count == 2)
    cancelled = await backend.resources.get(audit.name)
    assert cancelled.state == JOB_STATE_CANCELLED
    assert cancelled.progress.attempt == 0


async def test_a_crash_of_the_engine_gives_an_id_to_find_in_the_log(tiny, start_worker):
    worker = start_worker()
    audit = await tiny.audit(**ENDLESS)
    await tiny.until(audit.name, lambda job: job.progress.stage == "identify")
    (engine,) = worker.engines
    engine.send_signal(signal.SIGSEGV)
    failed = await tiny.ended(audit.name)
    assert failed.state == JOB_STATE_FAILED
    assert failed.failure.reason == ERROR_REASON_ENGINE_CRASHED
    incident = failed.failure.figures["incident"]
    assert incident in failed.failure.message
    assert incident in worker.log.read_text()


async def test_a_job_gives_signs_of_life(tiny, start_worker):
    start_worker()
    audit = await tiny.audit(**ENDLESS)
    await tiny.until(audit.name, lambda job: job.progress.stage == "identify")

    def silence_ms(job) -> int:
        return job.progress.heartbeat_age.ToMilliseconds()

    for _ in range(3):
        await tiny.until(audit.name, lambda job: silence_ms(job) > 200)
        await tiny.until(audit.name, lambda job: silence_ms(job) < 200)


async def test_a_job_that_nobody_announced_is_found(tiny, backend, start_worker):
    """As when the API dies between writing the record and waking the workers."""
    start_worker()
    announced = await tiny.classifier()
    await tiny.until(announced.name, lambda classifier: classifier.class_count == 2)
    message = Classifier(state=REGISTRATION_STATE_INSPECTING, artifact=announced.artifact)
    silent, _ = await backend.resources.create(NewResource(message, str(uuid.uuid4()), b""))
    await tiny.until(silent.name, lambda classifier: classifier.class_count == 2)
