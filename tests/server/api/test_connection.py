"""A connection outlives any wait, and one that breaks is taken up again."""

import asyncio

import defuse
import grpc
import pytest
from defuse._calls import connection
from defuse.v1.audit_service_pb2 import (
    StreamMisclassificationsRequest,
    StreamRegionsRequest,
    WatchAuditRequest,
)
from defuse_server.api import server
from defuse_server.api.server import ApiServer
from grpc._cython import cygrpc

SCALE = 50
"""How many times faster the connection's clock runs in these tests: a ping of the client every 0.6 s."""
STRICT_MS = 300_000
"""How often gRPC lets a client ping by default."""


def scaled(options, **overrides):
    """The options with their times shortened."""
    values = {**dict(options), **overrides}
    return [(name, value // SCALE if name.endswith("_ms") else value) for name, value in values.items()]


@pytest.mark.parametrize("name", [name for name, _ in [*server.OPTIONS, *connection.OPTIONS]])
def test_every_channel_option_is_one_that_grpc_knows(name):
    with open(cygrpc.__file__, "rb") as core:
        assert f"{name}\0".encode() in core.read()


def test_the_server_allows_the_pings_that_its_clients_send():
    allowed_ms = dict(server.OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"]
    assert allowed_ms < dict(connection.OPTIONS)["grpc.keepalive_time_ms"]


async def silent_watch(backend, records, monkeypatch, options, wait_s):
    """Watch an audit that does not change for `wait_s`, then succeeds; return the states and calls seen."""
    monkeypatch.setattr(connection, "OPTIONS", scaled(connection.OPTIONS))
    backend.resources.watch_silence_s = 60.0
    audit = await records.queued_audit()
    calls = 0
    watch = backend.resources.watch

    def counted(name, cursor):
        nonlocal calls
        calls += 1
        return watch(name, cursor)

    monkeypatch.setattr(backend.resources, "watch", counted)
    async with (
        ApiServer(backend, grace_s=0.1, options=options) as api,
        defuse.AsyncClient(f"127.0.0.1:{api.port}", timeout_s=2) as client,
    ):

        async def end() -> None:
            await asyncio.sleep(wait_s)
            await (await records.attempt(audit.name)).succeed(audit)

        ending = asyncio.create_task(end())
        states = [job.state async for job in client.watch(audit.name)]
        await ending
    return states, calls


async def test_a_wait_without_a_word_keeps_its_connection(backend, records, monkeypatch):
    states, calls = await silent_watch(backend, records, monkeypatch, scaled(server.OPTIONS), wait_s=6.0)
    assert states[-1] == defuse.messages.JobState.JOB_STATE_SUCCEEDED
    assert calls == 1


async def test_a_wait_survives_a_server_that_closes_connections_that_ping(backend, records, monkeypatch):
    strict = scaled(server.OPTIONS, **{"grpc.http2.min_ping_interval_without_data_ms": STRICT_MS * SCALE})
    states, calls = await silent_watch(backend, records, monkeypatch, strict, wait_s=6.0)
    assert states[-1] == defuse.messages.JobState.JOB_STATE_SUCCEEDED
    assert calls > 1


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("WatchAudit", WatchAuditRequest),
        ("StreamMisclassifications", StreamMisclassificationsRequest),
        ("StreamRegions", StreamRegionsRequest),
    ],
)
async def test_streams_of_an_audit_that_waits_say_something(backend, stubs, records, method, request_type):
    backend.resources.watch_silence_s = 0.2
    audit = await records.queued_audit()
    call = getattr(stubs.audits, method)(request_type(name=audit.name))
    for _ in range(3):
        assert await asyncio.wait_for(call.read(), 3) is not grpc.aio.EOF
    call.cancel()
