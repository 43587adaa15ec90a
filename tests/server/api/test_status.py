"""The service at a glance, and the health of each service by its name."""

import asyncio
import contextlib

import pytest
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.models_pb2 import Progress
from defuse.v1.promotion_service_pb2 import Evaluation, Verdict
from defuse.v1.registry_service_pb2 import Classifier
from defuse.v1.status_service_pb2 import GetServiceStatusRequest
from defuse.v1.status_service_pb2_grpc import StatusServiceStub
from defuse_server import redis_keys
from defuse_server.api import server as api_server
from defuse_server.api.server import ApiServer
from defuse_server.jobs.workers import signs_of_life
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def look(stubs):
    async def read():
        return await StatusServiceStub(stubs.channel).GetServiceStatus(GetServiceStatusRequest())

    return read


@pytest.fixture
def health(stubs):
    async def read(name: str) -> int:
        request = health_pb2.HealthCheckRequest(service=name)
        return (await health_pb2_grpc.HealthStub(stubs.channel).Check(request)).status

    return read


@contextlib.asynccontextmanager
async def working(backend):
    """A worker that gives signs of life and gets no job."""
    async with signs_of_life(backend.redis, "host#1"):
        yield


async def eventually(read, wanted, patience_s=15.0):
    async with asyncio.timeout(patience_s):
        while (found := await read()) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


async def test_a_service_at_rest(look):
    seen = await look()
    assert seen.version
    assert seen.time.seconds > 1_700_000_000
    assert [len(getattr(seen, field)) for field in ("workers", "queues", "running_jobs")] == [0, 0, 0]
    assert (seen.store_problem, seen.open_label_task_count, seen.awaiting_audit_count) == ("", 0, 0)


async def test_jobs_that_wait_and_run(look, records):
    first = await records.queued_audit()
    second = await records.made(Audit())
    third = await records.made(Audit())
    inspected = await records.made(Classifier())
    await records.backend.redis.hincrby(redis_keys.resource(second.name), "create_ms", -60_000)
    attempt = await records.attempt(first.name)
    await attempt.progress(Progress(stage="identify", done=3, total=9, unit="seeds"))

    seen = await look()
    assert {one.kind: one.count for one in seen.queues} == {"audits": 2, "classifiers": 1}
    ages = {one.kind: one.oldest_age.seconds for one in seen.queues}
    assert 60 <= ages["audits"] < 70
    assert ages["classifiers"] < 10
    (running,) = seen.running_jobs
    assert (running.name, running.worker) == (first.name, "test")
    assert (running.progress.stage, running.progress.done, running.progress.attempt) == ("identify", 3, 1)
    assert running.running_time.seconds < 10

    await attempt.succeed(first)
    for name in (second.name, third.name):
        await records.backend.jobs.cancel(name)
    seen = await look()
    assert [one.kind for one in seen.queues] == ["classifiers"]
    assert not seen.running_jobs
    await (await records.attempt(inspected.name)).succeed(inspected)
    assert not (await look()).queues


async def test_open_labelings_and_last_verdicts(look, records):
    old = await records.audit(regions=2)
    new = await records.audit(regions=3)
    (task,) = await records.backend.labels.lease(new.name, "ann", 1, 60.0)
    seen = await look()
    assert [(one.audit, one.open_task_count) for one in seen.open_labelings] == [(new.name, 2), (old.name, 2)]
    assert seen.open_label_task_count == 4

    verdicts = [Verdict.VERDICT_PASS, *[Verdict.VERDICT_FAIL] * 5]
    for number, verdict in enumerate(verdicts):
        await records.finished(
            Evaluation(display_name=f"number {number}", candidate=f"classifiers/{number}", verdict=verdict)
        )
    await records.made(Evaluation())
    shown = (await look()).last_verdicts
    assert [one.display_name for one in shown] == [f"number {number}" for number in (5, 4, 3, 2, 1)]
    assert (shown[0].candidate, shown[0].verdict) == ("classifiers/5", Verdict.VERDICT_FAIL)
    assert shown[0].end_time.seconds > 0
    await records.backend.labels.release(task.region, task.lease_token)


async def test_workers_show_with_their_jobs(look, records, backend, health):
    assert await health("worker") == NOT_SERVING
    async with working(backend):
        await eventually(lambda: health("worker"), SERVING)
        (worker,) = (await look()).workers
        assert (worker.worker, list(worker.jobs)) == ("host#1", [])
        audit = await records.queued_audit()
        attempt = await records.attempt(audit.name)
        await backend.redis.hset(redis_keys.resource(audit.name), "worker", "host#1")
        (worker,) = (await look()).workers
        assert list(worker.jobs) == [audit.name]
        await attempt.succeed(audit)
    # It left in order.
    assert not (await look()).workers


async def test_without_the_store_only_what_needs_it_is_not_serving(
    look, health, settings, backend, connect, monkeypatch, tmp_path
):
    monkeypatch.setattr(api_server, "_STORE_PROBE_S", 0.1)
    broken = tmp_path / "store"
    assert await health("defuse.v1.ArtifactService") == SERVING
    broken.write_text("a file in its place")
    async with ApiServer(backend, grace_s=0.1) as own:
        stub = health_pb2_grpc.HealthStub((await connect(own)).channel)

        async def check(name):
            return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status

        for name in ("", "store", "defuse.v1.ArtifactService"):
            assert await check(name) == NOT_SERVING, name
        for name in ("redis", "defuse.v1.AuditService", "defuse.v1.StatusService"):
            assert await check(name) == SERVING, name
        assert "the artifact store can't be used" in (await look()).store_problem
        broken.unlink()
        await eventually(lambda: check(""), SERVING)
        assert await check("defuse.v1.ArtifactService") == SERVING
