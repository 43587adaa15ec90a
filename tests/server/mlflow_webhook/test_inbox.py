"""Accepted events are handed out until they are done, whoever dies with them."""

import asyncio
from dataclasses import replace

from defuse_server import redis_keys
from defuse_server.mlflow_webhook.inbox import Event, Inbox
from redis.asyncio import Redis

EVENT = Event("digits", "7")


async def test_an_event_is_taken_in_once_and_gone_when_it_is_done(redis: Redis) -> None:
    inbox = Inbox(redis, lease_s=30)
    assert await inbox.accept("d1", EVENT)
    assert not await inbox.accept("d1", EVENT)
    claimed = await inbox.claim()
    assert claimed is not None
    assert claimed.event == EVENT
    assert await inbox.claim() is None
    await inbox.finish(claimed)
    assert await redis.keys(redis_keys.WEBHOOK_EVENTS) == await redis.keys(redis_keys.WEBHOOK_DUE) == []
    assert not await inbox.accept("d1", EVENT), "its id is remembered"


async def test_events_come_in_the_order_of_their_acceptance(redis: Redis) -> None:
    inbox = Inbox(redis, lease_s=30)
    for number in range(3):
        await inbox.accept(f"d{number}", Event("digits", str(number)))
        await asyncio.sleep(0.005)
    claimed = [await inbox.claim() for _ in range(3)]
    assert [one.event.version for one in claimed if one] == ["0", "1", "2"]


async def test_another_process_gets_what_a_dead_one_had(redis: Redis) -> None:
    dead, living = Inbox(redis, lease_s=0.2), Inbox(redis, lease_s=30)
    await dead.accept("d1", EVENT)
    assert await dead.claim()
    assert await living.claim() is None
    await asyncio.sleep(0.3)
    claimed = await living.claim()
    assert claimed is not None
    assert claimed.event == EVENT


async def test_who_holds_an_event_keeps_it(redis: Redis) -> None:
    inbox = Inbox(redis, lease_s=0.3)
    await inbox.accept("d1", EVENT)
    claimed = await inbox.claim()
    assert claimed is not None
    async with inbox.held(claimed):
        await asyncio.sleep(1.0)
        assert await inbox.claim() is None


async def test_what_is_put_off_comes_again_as_it_then_is(redis: Redis) -> None:
    inbox = Inbox(redis, lease_s=30)
    await inbox.accept("d1", EVENT)
    claimed = await inbox.claim()
    assert claimed is not None
    await inbox.postpone(claimed, replace(EVENT, tries=3), 0.2)
    assert await inbox.claim() is None
    await asyncio.sleep(0.3)
    again = await inbox.claim()
    assert again is not None
    assert again.event.tries == 3


async def test_who_comes_too_late_does_not_bring_a_done_event_back(redis: Redis) -> None:
    inbox = Inbox(redis, lease_s=30)
    await inbox.accept("d1", EVENT)
    claimed = await inbox.claim()
    assert claimed is not None
    await inbox.finish(claimed)
    await inbox.postpone(claimed, EVENT, 0.0)
    assert await inbox.claim() is None
