"""Models that never answer, or want more memory than there is, in the hands of a real worker."""

import numpy as np
import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_LIMIT_EXCEEDED
from defuse.v1.models_pb2 import JOB_STATE_FAILED
from defuse.v1.registry_service_pb2 import REGISTRATION_STATE_INSPECTING, REGISTRATION_STATE_REJECTED

from tests.models import handmade_classifiers


@pytest.fixture
def endless(tiny):
    """The tiny classifier, which goes round a loop 2^62 times if a batch has more items than `beyond`."""

    def make(beyond=0):
        matrix = np.stack([np.zeros(6), 20 * tiny.models.BASIS[:, 0]], axis=1)
        return handmade_classifiers.endless(matrix, np.array([0.0, -10.0]), beyond)

    return make


@pytest.fixture
def inspected(tiny):
    async def inspect(content):
        made = await tiny.classifier(content)
        return await tiny.until(made.name, lambda one: one.state != REGISTRATION_STATE_INSPECTING)

    return inspect


async def test_a_model_that_never_answers_is_rejected_when_its_time_is_up(
    endless, inspected, start_worker, monkeypatch
):
    monkeypatch.setenv("DEFUSE_INSPECTION_S", "8")
    start_worker()
    assert len(endless()) < 3000
    classifier = await inspected(endless())
    assert classifier.state == REGISTRATION_STATE_REJECTED
    assert classifier.failure.reason == ERROR_REASON_LIMIT_EXCEEDED
    message = classifier.failure.message
    assert "not done within 8 s: the classifier did not answer a batch of 1 in its last" in message
    assert message.endswith("(DEFUSE_INSPECTION_S)")


async def test_a_model_that_wants_more_memory_than_there_is_is_rejected(inspected, start_worker):
    start_worker()
    classifier = await inspected(handmade_classifiers.boundless())
    assert classifier.failure.reason == ERROR_REASON_LIMIT_EXCEEDED
    assert "needs more memory to answer a batch of 1 than" in classifier.failure.message
    assert classifier.failure.message.endswith("(DEFUSE_INSPECTION_MEMORY_BYTES)")


async def test_an_audit_whose_model_hangs_in_one_batch_fails(tiny, endless, start_worker, monkeypatch):
    monkeypatch.setenv("DEFUSE_BATCH_S", "2")
    start_worker()
    _, vae, dataset = await tiny.registered()
    audit = await tiny.audit_of(await tiny.ready_classifier(endless(beyond=32)), vae, dataset)
    failed = await tiny.ended(audit.name)
    assert failed.state == JOB_STATE_FAILED
    assert failed.failure.reason == ERROR_REASON_LIMIT_EXCEEDED
    assert failed.failure.message.startswith("the classifier did not answer a batch of 256 within 2 s")
    assert failed.failure.message.endswith("(DEFUSE_BATCH_S)")
