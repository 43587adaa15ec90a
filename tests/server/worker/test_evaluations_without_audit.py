"""Evaluations that wait for an audit of their own, through real workers."""

import signal

import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_PREFLIGHT_CLASSIFIER_ACCURACY
from defuse.v1.models_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_FAILED,
    JOB_STATE_QUEUED,
    JOB_STATE_RUNNING,
    JOB_STATE_SUCCEEDED,
)

POLICY = """
version: 1
checks: {annotator_agreement: off}
audit: {candidates_per_seed: 10, annotators_per_region: 1}
"""
# Three shards that take half a second or more each.
LONG_POLICY = POLICY.replace("candidates_per_seed: 10", "candidates_per_seed: 50")


@pytest.fixture
async def over(tiny):
    """Baseline, VAE and dataset, and a candidate without the baseline's bug."""
    classifier, vae, dataset = await tiny.registered()
    candidate = await tiny.ready_classifier(tiny.models.classifier(boundary=0.0))
    return {"baseline": classifier, "vae": vae, "dataset": dataset, "candidate": candidate}


async def test_evaluations_that_wait_hold_no_worker(tiny, over, start_worker):
    """With as many workers as jobs may block each other, a queue of waiting jobs would stand still."""
    waiting = []
    for boundary in (0.1, 0.2):
        candidate = await tiny.ready_classifier(tiny.models.classifier(boundary))
        waiting.append(await tiny.evaluation(policy=POLICY, **{**over, "candidate": candidate}))
    assert len({evaluation.audit for evaluation in waiting}) == 1
    start_worker()
    for evaluation in waiting:
        done = await tiny.succeeded(evaluation.name)
        assert done.progress.attempt == 1


@pytest.mark.soak
async def test_the_wait_outlives_the_worker(tiny, over, start_worker, backend):
    first = start_worker()
    evaluation = await tiny.evaluation(policy=LONG_POLICY, **over)
    await tiny.until(
        evaluation.audit, lambda job: job.state == JOB_STATE_RUNNING and job.misclassification_count > 0
    )
    first.signal(signal.SIGKILL)
    start_worker()
    audit = await tiny.ended(evaluation.audit, patience_s=120)
    assert (audit.state, audit.progress.attempt) == (JOB_STATE_SUCCEEDED, 2), audit.failure
    done = await tiny.ended(evaluation.name, patience_s=120)
    assert done.state == JOB_STATE_SUCCEEDED, done.failure


@pytest.mark.soak
async def test_a_wait_is_cancelled_at_once_while_its_audit_runs(tiny, over, start_worker, backend):
    start_worker()
    evaluation = await tiny.evaluation(policy=LONG_POLICY, **over)
    await tiny.until(evaluation.audit, lambda job: job.state == JOB_STATE_RUNNING)
    assert (await backend.resources.get(evaluation.name)).state == JOB_STATE_QUEUED
    assert (await backend.jobs.cancel(evaluation.name)).state == JOB_STATE_CANCELLED
    audit = await tiny.ended(evaluation.audit, patience_s=120)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    assert (await backend.resources.get(evaluation.name)).state == JOB_STATE_CANCELLED


async def test_an_audit_that_can_not_be_made_fails_the_evaluation_with_its_reason(tiny, over, start_worker):
    start_worker()
    upside_down = await tiny.ready_classifier(tiny.models.classifier(sharpness=-20.0))
    evaluation = await tiny.evaluation(policy=POLICY, **{**over, "baseline": upside_down})
    failed = await tiny.ended(evaluation.name)
    assert failed.state == JOB_STATE_FAILED
    assert failed.failure.reason == ERROR_REASON_PREFLIGHT_CLASSIFIER_ACCURACY
    assert failed.failure.message.startswith(f"{evaluation.audit}, which this evaluation waited for, failed")
    assert not failed.checks
