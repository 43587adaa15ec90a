"""What an audit finds, streamed while it runs."""

import asyncio

import grpc
import pytest
from defuse.v1.audit_service_pb2 import (
    GetAuditRequest,
    RegionState,
    StreamMisclassificationsRequest,
    StreamRegionsRequest,
)
from defuse.v1.label_service_pb2 import LabelAnswer

UNKNOWN = f"audits/{'0' * 18}"


def seeds(messages) -> list[int]:
    return [found.seed_index for message in messages for found in message.misclassifications]


async def test_misclassifications_arrive_while_the_audit_runs_and_end_with_it(stubs, records):
    audit = await records.queued_audit()
    call = stubs.audits.StreamMisclassifications(StreamMisclassificationsRequest(name=audit.name))
    attempt = await records.attempt(audit.name)
    await records.publish_chunk(attempt, 0, messages=2)
    got = [await asyncio.wait_for(call.read(), 5) for _ in range(2)]
    await records.publish_chunk(attempt, 1, messages=0)
    await records.publish_chunk(attempt, 2, messages=1)
    got.append(await asyncio.wait_for(call.read(), 5))
    await attempt.succeed(audit)
    assert await asyncio.wait_for(call.read(), 5) is grpc.aio.EOF
    assert seeds(got) == [0, 1, 2, 3, 4, 5, 2000, 2001, 2002]
    assert got[0].misclassifications[0].code == [0.5, 0.5]


async def test_reading_again_from_any_cursor_misses_and_repeats_nothing(stubs, records):
    audit = await records.queued_audit()
    attempt = await records.attempt(audit.name)
    for shard, messages in enumerate([2, 0, 3, 1]):
        await records.publish_chunk(attempt, shard, messages)
    await attempt.succeed(audit)
    request = StreamMisclassificationsRequest(name=audit.name)
    everything = [message async for message in stubs.audits.StreamMisclassifications(request)]
    assert len(everything) == 6
    for position, message in enumerate(everything):
        request.cursor = message.cursor
        rest = [m async for m in stubs.audits.StreamMisclassifications(request)]
        assert rest == everything[position + 1 :]


async def test_messages_larger_than_one_read_arrive_whole(stubs, records):
    audit = await records.queued_audit()
    attempt = await records.attempt(audit.name)
    await records.publish_chunk(attempt, 0, messages=3, records=300, latent_size=1000)
    await attempt.succeed(audit)
    request = StreamMisclassificationsRequest(name=audit.name)
    got = [message async for message in stubs.audits.StreamMisclassifications(request)]
    assert seeds(got) == list(range(900))


@pytest.mark.parametrize("cursor", ["nonsense", "0.2", "1.0", "7.0", "-1.0", "0.01", "0.0 "])
async def test_cursors_that_were_never_handed_out(stubs, refused, records, cursor):
    audit = await records.queued_audit()
    attempt = await records.attempt(audit.name)
    await records.publish_chunk(attempt, 0, messages=2)
    await records.publish_chunk(attempt, 1, messages=0)
    with refused() as problem:
        request = StreamMisclassificationsRequest(name=audit.name, cursor=cursor)
        await asyncio.wait_for(stubs.audits.StreamMisclassifications(request).read(), 5)
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CURSOR_UNKNOWN")


async def test_streams_of_unknown_audits(stubs, refused):
    with refused() as problem:
        await stubs.audits.StreamMisclassifications(StreamMisclassificationsRequest(name=UNKNOWN)).read()
    assert problem.code is grpc.StatusCode.NOT_FOUND
    with refused() as problem:
        await stubs.audits.StreamRegions(StreamRegionsRequest(name=UNKNOWN)).read()
    assert problem.code is grpc.StatusCode.NOT_FOUND


async def test_regions_stream_with_their_labels_and_resume(stubs, records, refused, backend):
    audit = await records.queued_audit()
    attempt = await records.attempt(audit.name)
    await records.publish_region(attempt, 0)
    await backend.labels.open(audit.name, [0], 1)
    (task,) = await backend.labels.lease(audit.name, "ann", 1, 60)
    await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=0), "")

    call = stubs.audits.StreamRegions(StreamRegionsRequest(name=audit.name))
    first = await asyncio.wait_for(call.read(), 5)
    (region,) = first.regions
    assert (region.state, region.label) == (RegionState.REGION_STATE_LABELED, 0)
    assert region.confirmed
    await records.publish_region(attempt, 1)
    second = await asyncio.wait_for(call.read(), 5)
    assert [region.name for region in second.regions] == [f"{audit.name}/regions/1"]
    await attempt.succeed(audit)
    assert await asyncio.wait_for(call.read(), 5) is grpc.aio.EOF

    request = StreamRegionsRequest(name=audit.name, cursor=first.cursor)
    assert [m async for m in stubs.audits.StreamRegions(request)] == [second]
    other = await records.audit(regions=1)
    for cursor, name in (("nonsense", audit.name), (first.cursor, other.name)):
        with refused() as problem:
            await stubs.audits.StreamRegions(StreamRegionsRequest(name=name, cursor=cursor)).read()
        assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CURSOR_UNKNOWN")


async def test_a_slow_reader_costs_a_bounded_buffer_and_holds_no_other_up(
    stubs, records, backend, monkeypatch
):
    audit = await records.queued_audit()
    attempt = await records.attempt(audit.name)
    for shard in range(16):
        await records.publish_chunk(attempt, shard, messages=2, records=200, latent_size=1000)
    await attempt.succeed(audit)
    read, reads = backend.store.read, []

    async def counted(*arguments):
        reads.append(arguments)
        return await read(*arguments)

    monkeypatch.setattr(backend.store, "read", counted)
    lazy = stubs.audits.StreamMisclassifications(StreamMisclassificationsRequest(name=audit.name))
    await lazy.read()
    for _ in range(20):
        await asyncio.wait_for(stubs.audits.GetAudit(GetAuditRequest(name=audit.name)), 2)
        await asyncio.sleep(0.02)
    assert len(reads) < 16
    received = 1
    while await lazy.read() is not grpc.aio.EOF:
        received += 1
    assert received == 32
    assert len(reads) >= 16
