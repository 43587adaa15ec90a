"""What runs beside what: inspections beside jobs and beside each other, and workers of some kinds alone."""

import time

import numpy as np
import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_LIMIT_EXCEEDED
from defuse.v1.models_pb2 import JOB_STATE_CANCELLED, JOB_STATE_QUEUED, JOB_STATE_RUNNING
from defuse.v1.registry_service_pb2 import (
    REGISTRATION_STATE_INSPECTING,
    REGISTRATION_STATE_READY,
    REGISTRATION_STATE_REJECTED,
)
from defuse_server import redis_keys

from tests.models import handmade_classifiers

ENDLESS_SEARCH = {"candidates_per_seed": 10_000}


@pytest.fixture
def endless(tiny):
    """A classifier that goes round a loop 2^62 times, whatever it is asked."""
    matrix = np.stack([np.zeros(6), 20 * tiny.models.BASIS[:, 0]], axis=1)
    return handmade_classifiers.endless(matrix, np.array([0.0, -10.0]))


def inspected(classifier) -> bool:
    return classifier.state != REGISTRATION_STATE_INSPECTING


def runs(audit) -> bool:
    return audit.state == JOB_STATE_RUNNING and audit.progress.stage == "identify"


async def test_registrations_are_answered_beside_an_audit_and_a_model_that_never_answers(
    tiny, backend, endless, start_worker, monkeypatch
):
    limit_s = 15
    monkeypatch.setenv("DEFUSE_INSPECTION_S", str(limit_s))
    worker = start_worker()
    audit = await tiny.audit(**ENDLESS_SEARCH)
    await tiny.until(audit.name, runs)
    begun_s = time.monotonic()
    hostile = await tiny.classifier(endless)
    harmless = await tiny.classifier()
    harmless = await tiny.until(harmless.name, inspected)
    assert harmless.state == REGISTRATION_STATE_READY, harmless.failure
    # Meanwhile the other one is being inspected, and the audit goes on.
    assert len(worker.engines) == 2
    assert not inspected(await backend.resources.get(hostile.name))
    hostile = await tiny.until(hostile.name, inspected)
    assert hostile.state == REGISTRATION_STATE_REJECTED
    assert hostile.failure.reason == ERROR_REASON_LIMIT_EXCEEDED
    # Behind its limit: the start of its engine on a busy machine, and the end of a late one.
    assert limit_s <= time.monotonic() - begun_s < limit_s + 20
    audit = await backend.resources.get(audit.name)
    assert (audit.state, audit.progress.attempt) == (JOB_STATE_RUNNING, 1)
    await backend.jobs.cancel(audit.name)
    assert (await tiny.ended(audit.name)).state == JOB_STATE_CANCELLED


async def test_a_worker_takes_the_kinds_that_it_is_told(tiny, backend, start_worker, monkeypatch):
    monkeypatch.setenv("DEFUSE_KINDS", "correction, audit")
    long = start_worker()
    audit = await tiny.audit(**ENDLESS_SEARCH)
    classifier = await tiny.classifier()
    await tiny.until(audit.name, runs)
    waiting = await tiny.audit()
    assert not inspected(await backend.resources.get(classifier.name))

    monkeypatch.setenv("DEFUSE_KINDS", "inspection")
    start_worker()
    await tiny.until(classifier.name, inspected)
    queued = await backend.resources.get(waiting.name)
    assert (queued.state, list(queued.progress.jobs_before)) == (JOB_STATE_QUEUED, [audit.name])
    assert len(long.engines) == 1
    for name in (waiting.name, audit.name):
        await backend.jobs.cancel(name)


async def test_a_worker_that_is_told_to_stop_hands_on_inspections_too(tiny, endless, start_worker, backend):
    first = start_worker()
    hostile = await tiny.classifier(endless)
    await tiny.until(hostile.name, lambda _: first.engines)
    first.stop()
    harmless = await tiny.classifier()
    start_worker()
    await tiny.until(harmless.name, inspected)
    assert await backend.redis.hget(redis_keys.resource(hostile.name), "deaths") is None
