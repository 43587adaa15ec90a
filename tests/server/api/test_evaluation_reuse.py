"""What was decided once is not decided again, as long as nothing that the verdict depends on has changed."""

import asyncio
import datetime
import sys
import uuid

import pytest
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse.v1.models_pb2 import Failure, JobState
from defuse.v1.promotion_service_pb2 import (
    CancelEvaluationRequest,
    CreateEvaluationRequest,
    EvaluationConfig,
    ListEvaluationsRequest,
)
from defuse_server import redis_keys
from defuse_server.evaluations import code_version, input_digest
from defuse_server.evaluations.worker_identity import WorkerIdentity, read_worker_identity


@pytest.fixture
async def audit(records):
    return await records.audit(regions=2)


@pytest.fixture
def evaluate(stubs, audit):
    """Ask for an evaluation of the audited classifier against itself."""

    async def ask(**fields):
        values = {"baseline": audit.classifier, "candidate": audit.classifier, "audit": audit.name, **fields}
        return await stubs.promotions.CreateEvaluation(
            CreateEvaluationRequest(request_id=str(uuid.uuid4()), **values)
        )

    return ask


async def answer_one(backend, audit) -> None:
    (task,) = await backend.labels.lease(audit.name, "ann", 1, 60.0)
    await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=0), "")


async def test_the_same_inputs_are_one_evaluation_whatever_they_are_called(evaluate, records, stubs):
    first = await evaluate(display_name="first")
    assert first.input_digest
    assert (await evaluate(display_name="second")).name == first.name
    again = await records.classifier()
    assert (await evaluate(candidate=again.name)).name == first.name
    assert len((await stubs.promotions.ListEvaluations(ListEvaluationsRequest())).evaluations) == 1


async def test_one_that_has_succeeded_is_the_answer_and_one_that_failed_is_not(
    evaluate, records, stubs, backend
):
    first = await evaluate()
    await (await records.attempt(first.name)).succeed(first)
    again = await evaluate()
    assert (again.name, again.state) == (first.name, JobState.JOB_STATE_SUCCEEDED)

    other = await evaluate(config=EvaluationConfig(seed=1))
    await (await records.attempt(other.name)).fail(other, Failure(message="why"))
    second = await evaluate(config=EvaluationConfig(seed=1))
    assert second.name != other.name
    await stubs.promotions.CancelEvaluation(CancelEvaluationRequest(name=second.name))
    third = await evaluate(config=EvaluationConfig(seed=1))
    assert third.name not in (other.name, second.name)
    # A deleted one neither.
    await stubs.promotions.CancelEvaluation(CancelEvaluationRequest(name=third.name))
    await backend.resources.delete(third.name)
    assert (await evaluate(config=EvaluationConfig(seed=1))).name != third.name


async def test_one_under_way_is_joined_whoever_asks_again_under_whatever_name(evaluate, records):
    first = await evaluate(display_name="first")
    attempt = await records.attempt(first.name)
    joined = await evaluate(display_name="second")
    assert (joined.name, joined.state) == (first.name, JobState.JOB_STATE_RUNNING)
    await attempt.succeed(first)
    assert (await evaluate()).name == first.name


async def test_concurrent_calls_make_one(evaluate):
    made = await asyncio.gather(*(evaluate() for _ in range(8)))
    assert len({evaluation.name for evaluation in made}) == 1


async def test_each_input_counts(evaluate, records, backend, audit):
    names = [(await evaluate()).name]
    candidate = await records.classifier(artifact=await records.artifact(b"other"))
    others = (
        {"candidate": candidate.name},
        {"policy": "version: 1\nconfidence: 0.9\n"},
        {"config": EvaluationConfig(seed=1)},
        {"config": EvaluationConfig(device="cpu")},
    )
    names += [(await evaluate(**fields)).name for fields in others]
    # A policy that says the same in other words is the same.
    assert (await evaluate(policy="version: 1\nconfidence: 0.95\n")).name == names[0]
    await answer_one(backend, audit)
    labeled = await evaluate()
    names.append(labeled.name)
    await backend.redis.set(redis_keys.CODE_VERSION, "0.2.0+0123456789ab")
    newer = await evaluate()
    assert newer.code_version == "0.2.0+0123456789ab"
    names.append(newer.name)
    # What was signed with no key, or another, is not the evidence that is asked for now.
    await backend.redis.set(redis_keys.SIGNING_KEY_ID, "0123")
    names.append((await evaluate()).name)
    assert len(set(names)) == len(names)


async def test_one_whose_audit_has_become_too_old_for_its_policy_is_evaluated_again(evaluate, monkeypatch):
    first = await evaluate()

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.now(tz) + datetime.timedelta(days=31)

    monkeypatch.setattr(input_digest, "datetime", Later)
    later = await evaluate()
    assert later.name != first.name
    # Both are too old: nothing has changed since.
    assert (await evaluate()).name == later.name
    policy = "version: 1\nchecks: {audit_age: off}\n"
    monkeypatch.undo()
    ageless = await evaluate(policy=policy)
    monkeypatch.setattr(input_digest, "datetime", Later)
    assert (await evaluate(policy=policy)).name == ageless.name


async def test_one_that_other_code_evaluated_than_was_expected_is_no_answer(evaluate, records):
    first = await evaluate()
    attempt = await records.attempt(first.name)
    first.code_version, first.input_digest = "0.0.9+000000000000", "0" * 64
    await attempt.succeed(first)
    assert (await evaluate()).name != first.name


async def test_a_request_that_is_repeated_gets_its_first_answer_whatever_changed(
    stubs, backend, audit, evaluate
):
    request = CreateEvaluationRequest(
        request_id=str(uuid.uuid4()),
        baseline=audit.classifier,
        candidate=audit.classifier,
        audit=audit.name,
    )
    first = await evaluate()
    assert (await stubs.promotions.CreateEvaluation(request)).name == first.name
    await answer_one(backend, audit)
    assert (await evaluate()).name != first.name
    assert (await stubs.promotions.CreateEvaluation(request)).name == first.name


async def test_the_code_version_tells_sources_apart(tmp_path, monkeypatch):
    assert code_version.own_code_version().startswith("0.1.0+")
    (tmp_path / "defuse_engine").mkdir()
    source = tmp_path / "defuse_engine" / "__init__.py"
    versions = []
    for text in ("a = 1\n", "a = 2\n", "raise SystemExit\n"):
        source.write_text(text)
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "defuse_engine", raising=False)
            patch.syspath_prepend(str(tmp_path))
            code_version.own_code_version.cache_clear()
            versions.append(code_version.own_code_version())
    code_version.own_code_version.cache_clear()
    assert len({*versions, code_version.own_code_version()}) == 4


async def test_without_an_engine_the_workers_say_which_code_decides(monkeypatch, redis):
    monkeypatch.setattr(code_version, "find_spec", lambda name: None)
    code_version.own_code_version.cache_clear()
    assert await read_worker_identity(redis) == WorkerIdentity("", "")
    await redis.mset({redis_keys.CODE_VERSION: "0.1.0+0123456789ab", redis_keys.SIGNING_KEY_ID: "0123"})
    assert await read_worker_identity(redis) == WorkerIdentity("0.1.0+0123456789ab", "0123")
    code_version.own_code_version.cache_clear()
