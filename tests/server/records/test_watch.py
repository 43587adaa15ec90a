import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.models_pb2 import JobState
from defuse_server import redis_keys
from defuse_server.errors import CursorUnknown, NotFound
from defuse_server.records.creation import NewResource
from defuse_server.records.resources import Resources
from redis.asyncio import Redis

Watch = AsyncIterator[tuple[Audit, str]]


@pytest.fixture
async def audit(resources: Resources) -> Audit:
    audit, _ = await resources.create(NewResource(Audit(), str(uuid.uuid4()), b""))
    return audit


async def change(redis: Redis, name: str, **fields: int) -> None:
    """Change a record the way that every script does."""
    async with redis.pipeline() as pipe:
        pipe.hset(redis_keys.resource(name), mapping=fields)
        pipe.hincrby(redis_keys.resource(name), "revision", 1)
        pipe.publish(redis_keys.CHANGED, name)
        await pipe.execute()


async def following(watch: Watch, seconds: float = 1.5) -> tuple[Audit, str]:
    """The next message; a change must arrive before the watch's own poll would find it."""
    return await asyncio.wait_for(anext(watch), seconds)


async def test_a_watch_shows_the_present_then_each_change_and_ends_with_a_final_state(
    resources: Resources, redis: Redis, audit: Audit
) -> None:
    async with contextlib.aclosing(resources.watch(audit.name, "")) as watch:
        present, _ = await following(watch)
        assert present.state == JobState.JOB_STATE_QUEUED
        await change(redis, audit.name, state=JobState.JOB_STATE_RUNNING)
        running, _ = await following(watch)
        assert running.state == JobState.JOB_STATE_RUNNING
        await change(redis, audit.name, state=JobState.JOB_STATE_SUCCEEDED)
        done, _ = await following(watch)
        assert done.state == JobState.JOB_STATE_SUCCEEDED
        with pytest.raises(StopAsyncIteration):
            await following(watch)


async def test_a_watch_resumed_by_cursor_shows_only_what_differs(
    resources: Resources, redis: Redis, audit: Audit
) -> None:
    async with contextlib.aclosing(resources.watch(audit.name, "")) as watch:
        _, cursor = await following(watch)
    async with contextlib.aclosing(resources.watch(audit.name, cursor)) as watch:
        with pytest.raises(TimeoutError):
            await following(watch, 0.3)
    await change(redis, audit.name, candidate_count=5)
    async with contextlib.aclosing(resources.watch(audit.name, cursor)) as watch:
        changed, _ = await following(watch)
        assert changed.candidate_count == 5


async def test_a_watch_of_what_does_not_change_shows_it_again(resources: Resources, audit: Audit) -> None:
    resources.watch_silence_s = 0.1
    async with contextlib.aclosing(resources.watch(audit.name, "")) as watch:
        first, again = await following(watch), await following(watch)
    assert again == first


async def test_a_watch_resumed_behind_the_final_state_ends_at_once(
    resources: Resources, redis: Redis, audit: Audit
) -> None:
    await change(redis, audit.name, state=JobState.JOB_STATE_FAILED)
    everything = [message async for message in resources.watch(audit.name, "")]
    assert [message.state for message, _ in everything] == [JobState.JOB_STATE_FAILED]
    assert [message async for message in resources.watch(audit.name, everything[-1][1])] == []


async def test_a_cursor_that_was_never_handed_out_is_refused(resources: Resources, audit: Audit) -> None:
    other, _ = await resources.create(NewResource(Audit(), str(uuid.uuid4()), b""))
    async with contextlib.aclosing(resources.watch(other.name, "")) as watch:
        _, of_another = await following(watch)
    for wrong in ("1", "nonsense", of_another):
        with pytest.raises(CursorUnknown):
            await anext(resources.watch(audit.name, wrong))


async def test_a_watched_audit_that_is_deleted_ends_the_watch_as_not_found(
    resources: Resources, redis: Redis, audit: Audit
) -> None:
    async with contextlib.aclosing(resources.watch(audit.name, "")) as watch:
        await following(watch)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0.05)
        await redis.hset(redis_keys.resource(audit.name), "state", JobState.JOB_STATE_CANCELLED)
        await resources.delete(audit.name)
        with pytest.raises(NotFound):
            await asyncio.wait_for(waiting, 1.5)


async def test_many_watchers_share_one_connection(resources: Resources, redis: Redis, audit: Audit) -> None:
    async with contextlib.AsyncExitStack() as stack:
        watches = [
            await stack.enter_async_context(contextlib.aclosing(resources.watch(audit.name, "")))
            for _ in range(30)
        ]
        await asyncio.gather(*(following(watch) for watch in watches))
        next_ones = asyncio.gather(*(following(watch) for watch in watches))
        await asyncio.sleep(0.1)
        assert dict(await redis.pubsub_numsub(redis_keys.CHANGED)) == {redis_keys.CHANGED.encode(): 1}
        await change(redis, audit.name, state=JobState.JOB_STATE_RUNNING)
        assert {message.state for message, _ in await next_ones} == {JobState.JOB_STATE_RUNNING}
