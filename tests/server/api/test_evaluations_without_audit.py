"""Evaluations that name no audit: they take one that still counts, or wait for one that is made for them."""

import asyncio
import datetime
import uuid

import pytest
from defuse.v1.audit_service_pb2 import (
    CreateAuditRequest,
    DeleteAuditRequest,
    GetAuditRequest,
    ListAuditsRequest,
)
from defuse.v1.error_reason_pb2 import ERROR_REASON_PREFLIGHT_READABILITY, ERROR_REASON_WRONG_STATE
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse.v1.models_pb2 import Failure, ImageShape, JobState
from defuse.v1.promotion_service_pb2 import (
    CancelEvaluationRequest,
    CreateEvaluationRequest,
    GetEvaluationRequest,
    WatchEvaluationRequest,
)
from defuse_server import redis_keys
from defuse_server.evaluations import choose_audit, input_digest
from defuse_server.evaluations.wait_for_audit import settle
from defuse_server.monitoring.overview import overview

QUEUED, SUCCEEDED = JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_SUCCEEDED
POLICY = "version: 1\naudit: {max_seeds: 500, budget_s: 60, annotators_per_region: 2}\n"


@pytest.fixture
async def over(records):
    """Baseline, candidate, VAE and dataset, READY."""
    return {
        "baseline": (await records.classifier(display_name="digits")).name,
        "candidate": (await records.classifier(artifact=await records.artifact(b"other"))).name,
        "vae": (await records.vae()).name,
        "dataset": (await records.dataset()).name,
    }


def request_over(over, **fields) -> CreateEvaluationRequest:
    return CreateEvaluationRequest(request_id=str(uuid.uuid4()), **{**over, **fields})


@pytest.fixture
def evaluate(stubs, over):
    async def ask(**fields):
        return await stubs.promotions.CreateEvaluation(request_over(over, **fields))

    return ask


@pytest.fixture
def read(stubs):
    async def get(name: str):
        if name.startswith("audits/"):
            return await stubs.audits.GetAudit(GetAuditRequest(name=name))
        return await stubs.promotions.GetEvaluation(GetEvaluationRequest(name=name))

    return get


@pytest.fixture
def audit_over(stubs, over):
    """Make an audit as a user does."""

    async def make(**fields):
        return await stubs.audits.CreateAudit(
            CreateAuditRequest(
                request_id=str(uuid.uuid4()),
                **{
                    "classifier": over["baseline"],
                    "vae": over["vae"],
                    "dataset": over["dataset"],
                    **fields,
                },
            )
        )

    return make


async def audits_made(stubs) -> int:
    return len((await stubs.audits.ListAudits(ListAuditsRequest())).audits)


async def is_queued(backend, name: str) -> bool:
    return await backend.redis.zscore(redis_keys.QUEUE, name) is not None


@pytest.fixture
async def waiting(evaluate):
    """An evaluation whose audit is made for it."""
    return await evaluate(policy=POLICY)


@pytest.fixture
async def audit(waiting, read, records):
    """The audit that it waited for, after its success."""
    return await records.succeeded_audit(await read(waiting.audit), harms=[0.3, 0.1])


def test_it_waits_for_an_audit_that_is_made_for_it(waiting):
    assert waiting.audit_created
    assert (waiting.state, waiting.progress.stage) == (QUEUED, "audit")


def test_what_it_will_be_about_is_open_until_then(waiting):
    assert (waiting.input_digest, waiting.label_set_digest) == ("", "")
    assert not waiting.HasField("labeling")


async def test_the_audit_is_of_the_baseline_over_dataset_and_vae(waiting, read, over):
    audit = await read(waiting.audit)
    assert audit.display_name == "for the gate: digits"
    assert (audit.classifier, audit.vae, audit.dataset) == (over["baseline"], over["vae"], over["dataset"])


async def test_the_audit_has_the_policys_budget(waiting, read):
    config = (await read(waiting.audit)).config
    assert (config.max_seeds, config.budget_s, config.annotators_per_region) == (500, 60, 2)


async def test_no_worker_gets_it_before_its_audit_has_ended(waiting, read, backend):
    assert await is_queued(backend, waiting.audit)
    assert not await is_queued(backend, waiting.name)
    await settle(backend)
    progress = (await read(waiting.name)).progress
    assert (progress.stage, progress.HasField("waiting_since")) == ("audit", False)


async def test_a_watch_shows_that_it_goes_on(waiting, read, records, backend, stubs):
    watch = stubs.promotions.WatchEvaluation(WatchEvaluationRequest(name=waiting.name))
    assert (await watch.read()).evaluation.progress.stage == "audit"
    await records.succeeded_audit(await read(waiting.audit))
    await settle(backend)
    assert (await watch.read()).evaluation.progress.stage == ""
    watch.cancel()


async def test_it_goes_on_with_the_labels_of_the_moment(waiting, audit, read, records, backend):
    await settle(backend)
    ready = await read(waiting.name)
    assert (ready.state, ready.progress.stage, ready.audit) == (QUEUED, "", audit.name)
    since, created = ready.progress.waiting_since, ready.times.create_time
    assert since.ToMilliseconds() > created.ToMilliseconds()
    assert ready.input_digest
    assert ready.regions_artifact == await records.artifact(b"regions")
    assert (ready.labeling.region_count, ready.labeling.unlabeled_count) == (2, 2)
    assert ready.labeling.unlabeled_harm_share == 1
    assert await is_queued(backend, ready.name)


async def test_to_settle_it_again_changes_nothing(waiting, audit, read, backend):
    await settle(backend)
    ready = await read(waiting.name)
    await settle(backend)
    assert await read(waiting.name) == ready


async def test_where_nothing_is_named_it_is_over_what_the_baseline_was_audited_last(
    evaluate, audit_over, records, over, refused
):
    with refused() as problem:
        await evaluate(vae="", dataset="")
    assert (problem.reason, problem.fields) == ("INVALID_FIELD", ("audit",))
    assert "has no audit that succeeded" in problem.message
    first = await records.succeeded_audit(await audit_over())
    # Under another name the same bytes are the same baseline; an audit that runs is no evidence.
    again = await records.classifier(display_name="again")
    await audit_over(dataset=(await records.dataset()).name)
    evaluation = await evaluate(vae="", dataset="", baseline=again.name)
    assert (evaluation.audit, evaluation.audit_created) == (first.name, False)
    other = await records.vae(encoder_artifact=await records.artifact(b"another encoder"))
    last = await records.succeeded_audit(await audit_over(vae=other.name))
    assert (await evaluate(vae="", dataset="")).audit == last.name
    # What is named counts, and one alone is not enough.
    with refused() as problem:
        await evaluate(dataset="")
    assert problem.fields == ("dataset",)


async def test_who_asks_the_same_meanwhile_gets_the_same(evaluate, stubs, read, records, backend):
    made = await asyncio.gather(*(evaluate(policy=POLICY) for _ in range(6)))
    assert len({evaluation.name for evaluation in made}) == 1
    assert await audits_made(stubs) == 1
    await records.succeeded_audit(await read(made[0].audit))
    # Not settled yet: the next call does so first, and finds what waited.
    again = await evaluate(policy=POLICY)
    assert again.name == made[0].name
    assert again.input_digest
    assert await audits_made(stubs) == 1


async def test_other_evaluations_join_the_audit_under_way(evaluate, records, stubs):
    first = await evaluate(policy=POLICY)
    third = await records.classifier(artifact=await records.artifact(b"third"))
    again = await records.classifier()
    for fields in ({"candidate": third.name}, {"baseline": again.name, "candidate": third.name}):
        joined = await evaluate(policy=POLICY, **fields)
        assert joined.name != first.name
        assert (joined.audit, joined.audit_created) == (first.audit, True)
    # Another budget is another audit.
    assert (await evaluate()).audit != first.audit
    assert await audits_made(stubs) == 2


@pytest.fixture
async def newest(audit_over, records):
    """The newest audit that succeeded; an older one did, too, and a newer one failed."""
    await records.succeeded_audit(await audit_over())
    newest = await records.succeeded_audit(await audit_over(), harms=[1.0])
    failed = await audit_over()
    await (await records.attempt(failed.name)).fail(failed, Failure(message="why"))
    return newest


@pytest.fixture
def a_month_later(monkeypatch):
    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.now(tz) + datetime.timedelta(days=31)

    for module in (choose_audit, input_digest):
        monkeypatch.setattr(module, "datetime", Later)


async def test_the_newest_audit_is_taken(newest, evaluate, backend):
    evaluation = await evaluate()
    assert (evaluation.audit, evaluation.audit_created) == (newest.name, False)
    assert evaluation.input_digest
    assert await is_queued(backend, evaluation.name)


async def test_the_same_models_and_data_under_other_names_are_the_same(newest, evaluate, records):
    others = {
        "baseline": (await records.classifier()).name,
        "vae": (await records.vae()).name,
        "dataset": (await records.dataset()).name,
    }
    assert (await evaluate(**others)).name == (await evaluate()).name


async def test_another_vaes_regions_are_no_evidence_over_this_one(newest, evaluate, records):
    other = await records.vae(encoder_artifact=await records.artifact(b"finer"))
    assert (await evaluate(vae=other.name)).audit_created


async def test_an_audit_older_than_the_policy_allows_is_not_taken(newest, evaluate, a_month_later):
    assert (await evaluate()).audit_created
    patient = "version: 1\nchecks: {audit_age: {max_days: 60}}\n"
    assert (await evaluate(policy=patient)).audit == newest.name


async def test_an_audit_that_was_deleted_is_none(evaluate, audit_over, records, stubs):
    audit = await records.succeeded_audit(await audit_over())
    await stubs.audits.DeleteAudit(DeleteAuditRequest(name=audit.name))
    assert (await evaluate()).audit_created


@pytest.fixture
async def failed(waiting, read, records, backend):
    """The evaluation after its audit failed."""
    failure = Failure(reason=ERROR_REASON_PREFLIGHT_READABILITY, message="unreadable", figures={"a": "1"})
    await (await records.attempt(waiting.audit)).fail(await read(waiting.audit), failure)
    await settle(backend)
    return await read(waiting.name)


async def test_an_audit_that_fails_fails_those_that_wait(failed, backend):
    assert failed.state == JobState.JOB_STATE_FAILED
    assert failed.times.end_time.seconds
    assert not await is_queued(backend, failed.name)


def test_the_failure_is_the_audits(failed):
    assert failed.failure.reason == ERROR_REASON_PREFLIGHT_READABILITY
    assert failed.failure.message == (
        f"{failed.audit}, which this evaluation waited for, failed, and nothing was decided: unreadable"
    )
    assert failed.failure.figures == {"a": "1", "audit": failed.audit}


async def test_after_a_failure_the_next_one_starts_afresh(failed, evaluate):
    again = await evaluate(policy=POLICY)
    assert again.name != failed.name
    assert again.audit != failed.audit


async def test_an_audit_that_is_cancelled_fails_those_that_wait(evaluate, read, backend):
    evaluation = await evaluate()
    await backend.jobs.cancel(evaluation.audit)
    await settle(backend)
    failed = await read(evaluation.name)
    assert (failed.state, failed.failure.reason) == (JobState.JOB_STATE_FAILED, ERROR_REASON_WRONG_STATE)
    assert "was cancelled" in failed.failure.message
    assert (await evaluate()).audit != evaluation.audit


@pytest.fixture
async def cancelled(waiting, stubs):
    return await stubs.promotions.CancelEvaluation(CancelEvaluationRequest(name=waiting.name))


async def test_a_waiting_evaluation_is_cancelled_at_once(cancelled, backend):
    assert (cancelled.state, cancelled.progress.stage) == (JobState.JOB_STATE_CANCELLED, "")
    assert await backend.redis.zcard(redis_keys.AWAITING_AUDIT) == 0


async def test_the_audit_of_a_cancelled_evaluation_goes_on_for_the_next(
    cancelled, evaluate, read, records, backend
):
    second = await evaluate(policy=POLICY)
    assert second.name != cancelled.name
    assert second.audit == cancelled.audit
    await records.succeeded_audit(await read(second.audit))
    await settle(backend)
    assert (await read(cancelled.name)).state == JobState.JOB_STATE_CANCELLED
    assert (await read(second.name)).input_digest


async def test_workers_that_settle_at_once_queue_it_once(evaluate, read, records, backend):
    evaluation = await evaluate()
    await records.succeeded_audit(await read(evaluation.audit))
    await asyncio.gather(*(settle(backend) for _ in range(5)))
    revision = await backend.redis.hget(redis_keys.resource(evaluation.name), "revision")
    assert revision == b"2"
    assert await is_queued(backend, evaluation.name)


async def test_what_an_audit_could_not_be_made_of_starts_none(stubs, over, evaluate, records, refused):
    wide = await records.vae(image_shape=ImageShape(channels=1, height=9, width=9))
    with refused() as problem:
        await evaluate(vae=wide.name)
    assert problem.reason == "RESOURCES_MISMATCHED"
    three = await records.classifier(class_count=3)
    with refused() as problem:
        await evaluate(candidate=three.name)
    assert problem.reason == "RESOURCES_MISMATCHED"
    assert await audits_made(stubs) == 0


async def test_a_repeated_request_makes_no_second_audit(stubs, over, backend):
    request = request_over(over)
    first = await stubs.promotions.CreateEvaluation(request)
    await backend.jobs.cancel(first.audit)
    await settle(backend)
    again = await stubs.promotions.CreateEvaluation(request)
    assert (again.name, again.state) == (first.name, JobState.JOB_STATE_FAILED)
    assert await audits_made(stubs) == 1


async def test_labels_that_come_later_are_for_the_next_evaluation(evaluate, read, records, backend):
    evaluation = await evaluate()
    audit = await records.succeeded_audit(await read(evaluation.audit), harms=[0.3, 0.1])
    await settle(backend)
    (task,) = await backend.labels.lease(audit.name, "ann", 1, 60.0)
    await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=0), "")
    assert (await read(evaluation.name)).labeling.unlabeled_count == 2
    later = await evaluate()
    assert later.name != evaluation.name
    assert (later.audit, later.audit_created) == (audit.name, False)
    assert later.labeling.unlabeled_count == 1
    assert later.labeling.unlabeled_harm_share == pytest.approx(0.25)


async def test_its_time_in_the_queue_begins_when_its_wait_for_the_audit_ends(backend, waiting, read, records):
    await backend.redis.hincrby(redis_keys.resource(waiting.name), "create_ms", -3_600_000)
    seen = await overview(backend)
    assert (seen.awaiting_audit, [one.kind for one in seen.queued]) == (1, ["audits"])
    await records.succeeded_audit(await read(waiting.audit), harms=[0.3])
    await settle(backend)
    seen = await overview(backend)
    assert (seen.awaiting_audit, [one.kind for one in seen.queued]) == (0, ["evaluations"])
    assert seen.queued[0].oldest_s < 60
