"""Streams go on where they broke: nothing is missed, nothing comes twice."""

import asyncio
import threading
import time

import defuse
import grpc
import pytest
from defuse.messages import Failure, Misclassification, Region
from defuse.v1.audit_service_pb2 import (
    StreamMisclassificationsResponse,
    StreamRegionsResponse,
    WatchAuditResponse,
)

from tests.client.fake_server import UNAVAILABLE, Refusal

STREAM = "AuditService/StreamMisclassifications"


def batch(*seeds: int) -> StreamMisclassificationsResponse:
    found = [Misclassification(seed_index=seed) for seed in seeds]
    return StreamMisclassificationsResponse(misclassifications=found, cursor=f"after-{seeds[-1]}")


def test_misclassifications_resume_from_the_last_cursor(client, server):
    server.on(STREAM, [batch(0, 1), batch(2), UNAVAILABLE], UNAVAILABLE, [batch(3, 4)])
    assert [found.seed_index for found in client.misclassifications("audits/a")] == [0, 1, 2, 3, 4]
    assert [request.cursor for request in server.asked(STREAM)] == ["", "after-2", "after-2"]


def test_regions_resume_from_the_last_cursor(client, server):
    first = StreamRegionsResponse(regions=[Region(name="audits/a/regions/0")], cursor="c1")
    second = StreamRegionsResponse(regions=[Region(name="audits/a/regions/1")], cursor="c2")
    server.on("AuditService/StreamRegions", [first, UNAVAILABLE], [second])
    names = [region.name for region in client.regions("audits/a")]
    assert names == ["audits/a/regions/0", "audits/a/regions/1"]
    assert [request.cursor for request in server.asked("AuditService/StreamRegions")] == ["", "c1"]


def test_batches_begin_at_the_cursor_that_a_program_kept(client, server):
    server.on(STREAM, [batch(8), batch(9)])
    batches = list(client.misclassification_batches("audits/a", cursor="kept"))
    assert [one.cursor for one in batches] == ["after-8", "after-9"]
    assert server.asked(STREAM)[0].cursor == "kept"


def test_another_error_ends_the_stream(client, server):
    server.on(STREAM, [batch(0), Refusal(grpc.StatusCode.NOT_FOUND, "deleted")], [batch(1)])
    stream = client.misclassifications("audits/a")
    assert next(stream).seed_index == 0
    with pytest.raises(defuse.NotFound, match="deleted"):
        next(stream)


def test_a_stream_gives_up_when_no_server_comes_back(client, server):
    server.on(STREAM, [batch(0), UNAVAILABLE], UNAVAILABLE)
    stream = client.misclassifications("audits/a", timeout_s=0.3)
    assert next(stream).seed_index == 0
    with pytest.raises(defuse.Unavailable):
        next(stream)


def test_a_watch_outlives_a_restart_of_the_server(client, server, restart, audit):
    running = WatchAuditResponse(audit=audit("RUNNING"), cursor="c1")
    stays = threading.Event()

    def watched(request):
        def states():
            yield running
            stays.wait(5)

        return states()

    server.on("AuditService/WatchAudit", watched)
    jobs = client.watch("audits/a")
    assert next(jobs).state == running.audit.state
    threading.Timer(0.1, stays.set).start()
    successor = restart(server)
    successor.on("AuditService/WatchAudit", [WatchAuditResponse(audit=audit("SUCCEEDED"), cursor="c2")])
    assert [job.state for job in jobs] == [audit("SUCCEEDED").state]
    assert successor.asked("AuditService/WatchAudit")[0].cursor == "c1"


def test_a_watch_that_was_silent_for_longer_than_the_timeout_is_resumed(client, server, audit):
    def silent(request):
        yield WatchAuditResponse(audit=audit("QUEUED"), cursor="c1")
        time.sleep(0.6)
        yield UNAVAILABLE

    server.on("AuditService/WatchAudit", silent, [WatchAuditResponse(audit=audit("SUCCEEDED"), cursor="c2")])
    states = [job.state for job in client.watch("audits/a", timeout_s=0.4)]
    assert states == [audit("QUEUED").state, audit("SUCCEEDED").state]


def test_a_message_without_misclassifications_is_no_batch(client, server):
    server.on(STREAM, [StreamMisclassificationsResponse(cursor=""), batch(0)])
    assert [one.cursor for one in client.misclassification_batches("audits/a")] == ["after-0"]


def test_leaving_a_stream_cancels_it_on_the_server(client, server):
    left = threading.Event()

    def endless(request):
        def batches():
            try:
                while True:
                    yield batch(0)
            finally:
                left.set()

        return batches()

    server.on(STREAM, endless)
    stream = client.misclassifications("audits/a")
    next(stream)
    stream.close()
    assert left.wait(5)


def test_wait_returns_the_job_that_succeeded_and_reports_on_the_way(client, server, audit):
    states = ["QUEUED", "RUNNING", "SUCCEEDED"]
    server.on("AuditService/WatchAudit", [WatchAuditResponse(audit=audit(state)) for state in states])
    seen = []
    job = client.wait("audits/a", on_update=seen.append)
    assert job == audit("SUCCEEDED")
    assert seen == [audit(state) for state in states]


def test_wait_raises_the_failure_of_a_job(client, server, audit):
    failure = Failure(reason=51, message="the classifier can't read", figures={"readability": "0.3"})
    server.on("AuditService/WatchAudit", [WatchAuditResponse(audit=audit("FAILED", failure=failure))])
    with pytest.raises(defuse.JobFailed, match="PREFLIGHT_READABILITY: the classifier can't read") as caught:
        client.wait("audits/a")
    assert caught.value.failure == failure


def test_wait_raises_for_a_cancelled_job(client, server, audit):
    server.on("AuditService/WatchAudit", [WatchAuditResponse(audit=audit("CANCELLED"))])
    with pytest.raises(defuse.JobCancelled):
        client.wait("audits/a")


def test_wait_ends_when_its_time_is_over(client, server, audit):
    over = threading.Event()

    def watched(request):
        def states():
            yield WatchAuditResponse(audit=audit("RUNNING"))
            over.wait(5)

        return states()

    server.on("AuditService/WatchAudit", watched)
    with pytest.raises(defuse.DeadlineExceeded):
        client.wait("audits/a", within_s=0.3)
    over.set()


@pytest.mark.parametrize("name", ["classifiers/c", "a", ""])
def test_only_jobs_are_waited_for(client, name):
    with pytest.raises(defuse.ArgumentError, match="audits/"):
        client.wait(name)


async def test_a_cancelled_task_cancels_its_stream(server):
    left = threading.Event()

    def silent(request):
        def batches():
            try:
                yield batch(0)
                while not left.wait(0.05):
                    yield batch(1)
            finally:
                left.set()

        return batches()

    server.on(STREAM, silent)
    async with defuse.AsyncClient(server.address) as client:

        async def read():
            async for _ in client.misclassifications("audits/a"):
                pass

        task = asyncio.create_task(read())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(left.wait, 5)
