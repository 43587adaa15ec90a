"""Calls are repeated when the server is UNAVAILABLE, within their deadline, and never otherwise."""

import time
import uuid

import defuse
import grpc
import pytest
from defuse._calls.retries import Retries

from tests.client.fake_server import UNAVAILABLE, Refusal


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def test_delays_double_up_to_five_seconds_and_stop_at_the_deadline():
    clock = Clock()
    retries = Retries(30, now=clock, uniform=lambda low, high: high)
    delays = []
    while (delay_s := retries.next_delay_s()) is not None:
        delays.append(delay_s)
        clock.now_s += delay_s
    assert delays[:7] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert clock.now_s < 30 <= clock.now_s + 5


def test_progress_starts_the_delays_anew():
    clock = Clock()
    retries = Retries(1, now=clock, uniform=lambda low, high: high)
    retries.next_delay_s()
    clock.now_s = 0.99
    assert retries.next_delay_s() is None
    retries.progressed()
    assert retries.next_delay_s() == 0.1


def test_silence_after_progress_is_no_failure():
    clock = Clock()
    retries = Retries(1, now=clock, uniform=lambda low, high: high)
    retries.progressed()
    clock.now_s = 100.0
    assert retries.next_delay_s() == 0.1
    clock.now_s = 100.99
    assert retries.next_delay_s() is None


def test_without_a_timeout_it_never_gives_up():
    retries = Retries(None)
    assert all(retries.next_delay_s() is not None for _ in range(100))


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_a_timeout_must_be_positive(timeout_s):
    with pytest.raises(ValueError, match="above 0"):
        Retries(timeout_s)


def test_a_create_is_repeated_with_the_same_request_id(client, server, audit):
    server.on("AuditService/CreateAudit", UNAVAILABLE, UNAVAILABLE, audit("QUEUED"))
    made = client.start_audit("classifiers/c", "vaes/v", "datasets/d", seed=7, preset="paper")
    assert made.name == "audits/a"
    requests = server.asked("AuditService/CreateAudit")
    assert len(requests) == 3
    assert requests[0] == requests[1] == requests[2]
    assert uuid.UUID(requests[0].request_id).version == 4
    assert (requests[0].config.seed, requests[0].config.preset) == (7, 2)


def test_two_creates_have_two_request_ids(client, server, audit):
    server.on("AuditService/CreateAudit", audit("QUEUED"))
    for _ in range(2):
        client.start_audit("classifiers/c", "vaes/v", "datasets/d")
    first, second = server.asked("AuditService/CreateAudit")
    assert first.request_id != second.request_id


def test_retries_end_with_unavailable_at_the_deadline(client, server):
    server.on("AuditService/GetAudit", UNAVAILABLE)
    started = time.monotonic()
    with pytest.raises(defuse.Unavailable, match="the server stops"):
        client.get_audit("audits/a", timeout_s=0.5)
    assert time.monotonic() - started < 1
    assert len(server.asked("AuditService/GetAudit")) > 1


def test_the_delay_that_the_server_asks_for_is_kept(client, server, audit):
    busy = Refusal(grpc.StatusCode.UNAVAILABLE, retry_s=0.4)
    server.on("AuditService/GetAudit", busy, audit("QUEUED"))
    started = time.monotonic()
    client.get_audit("audits/a")
    assert time.monotonic() - started >= 0.4


def test_the_token_goes_with_each_call(server, audit, monkeypatch):
    server.on("AuditService/GetAudit", audit("QUEUED"))
    monkeypatch.setenv("DEFUSE_TOKEN", "secret")
    monkeypatch.setenv("DEFUSE_ADDRESS", server.address)
    with defuse.Client() as client:
        client.get_audit("audits/a")
    assert server.metadata["authorization"] == "Bearer secret"


@pytest.mark.parametrize("address", ["http://localhost:50151", "localhost", "localhost:port"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(defuse.ArgumentError, match="host:port"):
        defuse.Client(address)


def test_a_limit_is_waited_for_as_the_server_says(client, server, audit):
    full = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="QUOTA_EXCEEDED", retry_s=0.4)
    server.on("AuditService/GetAudit", full, audit("QUEUED"))
    started = time.monotonic()
    client.get_audit("audits/a")
    assert time.monotonic() - started >= 0.4


def test_a_limit_beyond_the_deadline_is_raised_at_once(client, server):
    full = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="QUOTA_EXCEEDED", retry_s=3.0)
    server.on("AuditService/GetAudit", full)
    with pytest.raises(defuse.errors.ResourceExhausted) as caught:
        client.get_audit("audits/a", timeout_s=2.0)
    assert (caught.value.reason_name, caught.value.retry_delay_s) == ("QUOTA_EXCEEDED", 3.0)
    assert len(server.asked("AuditService/GetAudit")) == 1


def test_a_message_that_is_too_large_is_not_sent_again(client, server):
    server.on("AuditService/GetAudit", Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED))
    with pytest.raises(defuse.errors.ResourceExhausted):
        client.get_audit("audits/a")
    assert len(server.asked("AuditService/GetAudit")) == 1
