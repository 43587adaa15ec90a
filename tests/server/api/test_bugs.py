"""Bugs over a real connection: got, listed and streamed."""

import grpc
import pytest
from defuse.v1 import audit_service_pb2 as pb
from defuse_server import redis_keys
from defuse_server.names import FIRST_BUG


@pytest.fixture
async def audit(records):
    """An ended audit with two regions, each a bug of its own."""
    audit = await records.audit(regions=2)
    backend = records.backend
    for number in range(2):
        name = f"{audit.name}/bugs/{number}"
        bug = pb.Bug(name=name, cells=[f"{audit.name}/regions/{number}"], seed_label=1)
        await backend.redis.hset(redis_keys.bugs(audit.name), str(number), bug.SerializeToString())
    await backend.labels.open(audit.name, [FIRST_BUG, FIRST_BUG + 1], 1)
    return audit.name


async def test_a_bug_is_got_by_its_name(stubs, audit):
    bug = await stubs.audits.GetBug(pb.GetBugRequest(name=f"{audit}/bugs/1"))
    assert list(bug.cells) == [f"{audit}/regions/1"]


async def test_a_bug_that_is_not_there_is_not_found(stubs, audit):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stubs.audits.GetBug(pb.GetBugRequest(name=f"{audit}/bugs/2"))
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


async def test_bugs_are_listed_page_by_page(stubs, audit):
    first = await stubs.audits.ListBugs(pb.ListBugsRequest(parent=audit, page_size=1))
    rest = pb.ListBugsRequest(parent=audit, page_size=1, page_token=first.next_page_token)
    second = await stubs.audits.ListBugs(rest)
    assert [bug.name for page in (first, second) for bug in page.bugs] == [
        f"{audit}/bugs/0",
        f"{audit}/bugs/1",
    ]
    assert second.next_page_token == ""


async def test_bugs_are_streamed_from_a_cursor_on(stubs, audit):
    stream = stubs.audits.StreamBugs(pb.StreamBugsRequest(name=audit))
    messages = [message async for message in stream]
    assert [bug.name for message in messages for bug in message.bugs] == [
        f"{audit}/bugs/0",
        f"{audit}/bugs/1",
    ]
    resumed = stubs.audits.StreamBugs(pb.StreamBugsRequest(name=audit, cursor=messages[-1].cursor))
    assert [bug async for message in resumed for bug in message.bugs] == []
