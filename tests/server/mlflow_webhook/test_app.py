"""What the receiver of MLflow's webhooks takes, and what it refuses."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from defuse_server import redis_keys
from defuse_server.host.redis_client import connect
from defuse_server.mlflow_webhook.app import LARGEST_BODY_BYTES, PATH, create_app
from defuse_server.mlflow_webhook.inbox import Inbox
from redis.asyncio import Redis

SECRET = "a secret of the test"
EVENT = {
    "entity": "model_version",
    "action": "created",
    "timestamp": "2026-01-01T00:00:00+00:00",
    "data": {"name": "digits", "version": "7", "source": "models:/m-1", "run_id": None, "tags": {}},
}


def signed(body: bytes, *, secret: str = SECRET, age_s: float = 0.0, delivery: str = "") -> dict[str, str]:
    """Headers as mlflow/webhooks/delivery.py makes them."""
    delivery, timestamp = delivery or str(uuid.uuid4()), str(int(time.time() - age_s))
    content = f"{delivery}.{timestamp}.{body.decode()}".encode()
    digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": timestamp,
        "X-MLflow-Signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def client_of(redis: Redis) -> httpx.AsyncClient:
    app = create_app(Inbox(redis, lease_s=2), SECRET)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://webhook")


@pytest.fixture
async def webhook(redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(redis) as client:
        yield client


async def started(redis: Redis) -> list[dict[str, object]]:
    return [json.loads(event) for event in await redis.hvals(redis_keys.WEBHOOK_EVENTS)]


async def test_a_signed_event_is_stored_before_it_is_acknowledged(
    webhook: httpx.AsyncClient, redis: Redis
) -> None:
    body = json.dumps(EVENT).encode()
    answer = await webhook.post(PATH, content=body, headers=signed(body))
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert await started(redis) == [{"model": "digits", "version": "7", "tries": 0, "failures": 0}]


@pytest.mark.parametrize(
    "spoil",
    [
        {"X-MLflow-Signature": ""},
        {"X-MLflow-Signature": "v1,"},
        {"X-MLflow-Signature": "v1,b3RoZXI="},
        {"X-MLflow-Signature": b"v1,\xff"},
        {"X-MLflow-Delivery-Id": ""},
        {"X-MLflow-Delivery-Id": "another"},
        {"X-MLflow-Timestamp": ""},
        {"X-MLflow-Timestamp": "0"},
        {"X-MLflow-Timestamp": "now"},
        {"X-MLflow-Timestamp": "9" * 400},
    ],
)
async def test_a_header_that_is_missing_or_wrong_is_refused(
    webhook: httpx.AsyncClient, redis: Redis, spoil: dict[str, str]
) -> None:
    body = json.dumps(EVENT).encode()
    answer = await webhook.post(PATH, content=body, headers={**signed(body), **spoil})
    assert answer.status_code == 401, answer.text
    assert await started(redis) == []


async def test_another_secret_and_another_body_are_refused(webhook: httpx.AsyncClient, redis: Redis) -> None:
    body = json.dumps(EVENT).encode()
    other = json.dumps({**EVENT, "data": {"name": "digits", "version": "8"}}).encode()
    for content, headers in ((body, signed(body, secret="another")), (other, signed(body))):
        answer = await webhook.post(PATH, content=content, headers=headers)
        assert answer.status_code == 401
    assert await started(redis) == []


@pytest.mark.parametrize("age_s", [400, -400])
async def test_a_delivery_of_another_time_is_refused(
    webhook: httpx.AsyncClient, redis: Redis, age_s: float
) -> None:
    body = json.dumps(EVENT).encode()
    answer = await webhook.post(PATH, content=body, headers=signed(body, age_s=age_s))
    assert (answer.status_code, "expected a timestamp" in answer.text) == (401, True)
    assert await started(redis) == []


async def test_a_delivery_that_came_before_starts_nothing(webhook: httpx.AsyncClient, redis: Redis) -> None:
    body = json.dumps(EVENT).encode()
    headers = signed(body)
    assert (await webhook.post(PATH, content=body, headers=headers)).status_code == 202
    # Also once the event is done with.
    await redis.delete(redis_keys.WEBHOOK_EVENTS, redis_keys.WEBHOOK_DUE)
    again = await webhook.post(PATH, content=body, headers=headers)
    assert (again.status_code, "came before" in again.text) == (400, True)
    assert await started(redis) == []


async def test_other_events_are_acknowledged_and_ignored(webhook: httpx.AsyncClient, redis: Redis) -> None:
    for change in ({"action": "updated"}, {"entity": "registered_model"}):
        body = json.dumps({**EVENT, **change}).encode()
        answer = await webhook.post(PATH, content=body, headers=signed(body))
        assert (answer.status_code, "ignored" in answer.text) == (200, True)
    assert await started(redis) == []


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b'{"entity": "model_version", "action": "created"}',
        json.dumps({**EVENT, "data": {"name": "", "version": "7"}}).encode(),
        json.dumps({**EVENT, "data": {"name": "digits", "version": 7}}).encode(),
        json.dumps({**EVENT, "data": {"name": "d" * 2000, "version": "7"}}).encode(),
    ],
)
async def test_a_body_that_is_no_event_is_refused(
    webhook: httpx.AsyncClient, redis: Redis, body: bytes
) -> None:
    headers = signed(body) if body != b"\xff" else signed(b"")
    answer = await webhook.post(PATH, content=body, headers=headers)
    assert answer.status_code == (400 if body != b"\xff" else 401)
    assert await started(redis) == []


async def test_a_body_that_is_too_large_is_refused(webhook: httpx.AsyncClient, redis: Redis) -> None:
    body = json.dumps({**EVENT, "filler": "x" * LARGEST_BODY_BYTES}).encode()
    answer = await webhook.post(PATH, content=body, headers=signed(body))
    assert answer.status_code == 413
    assert await started(redis) == []


async def test_what_cannot_be_stored_is_not_acknowledged() -> None:
    nowhere = connect("redis://127.0.0.1:1")
    body = json.dumps(EVENT).encode()
    async with client_of(nowhere) as webhook:
        answer = await webhook.post(PATH, content=body, headers=signed(body))
    await nowhere.aclose()
    # MLflow repeats what is answered with 503.
    assert answer.status_code == 503


async def test_nothing_but_the_webhook_and_health_is_there(webhook: httpx.AsyncClient) -> None:
    assert (await webhook.get("/healthz")).text == "ok"
    assert (await webhook.get(PATH)).status_code == 405
    assert (await webhook.post("/")).status_code == 404
