"""Creating evaluations; the other calls are those of audits."""

import hashlib
import uuid

import grpc
import pytest
from defuse.v1.models_pb2 import ImageShape, JobState, OutputKind
from defuse.v1.promotion_service_pb2 import (
    CancelEvaluationRequest,
    Check,
    CreateEvaluationRequest,
    Evaluation,
    EvaluationConfig,
    GetEvaluationRequest,
    ListEvaluationsRequest,
    SecondSearch,
    WatchEvaluationRequest,
)
from defuse.v1.registry_service_pb2 import DeleteClassifierRequest
from defuse_server.evaluations.code_version import own_code_version
from defuse_server.gate.policy import DEFAULT

UNKNOWN = "0" * 18


def request_for(baseline: str, candidate: str, audit: str, **fields) -> CreateEvaluationRequest:
    return CreateEvaluationRequest(
        request_id=str(uuid.uuid4()), baseline=baseline, candidate=candidate, audit=audit, **fields
    )


@pytest.fixture
async def evaluation(stubs, records):
    """Of a candidate with the baseline's bytes, over an audit with a region."""
    audit = await records.audit(regions=1)
    candidate = await records.classifier()
    return await stubs.promotions.CreateEvaluation(request_for(audit.classifier, candidate.name, audit.name))


def test_an_evaluation_is_queued(evaluation):
    assert evaluation.state == JobState.JOB_STATE_QUEUED
    assert not evaluation.audit_created


def test_an_evaluation_names_the_exact_bytes_and_the_code(evaluation):
    contents = {
        "baseline_sha256": b"onnx",
        "candidate_sha256": b"onnx",
        "dataset_sha256": b"npz",
        "encoder_sha256": b"encoder",
        "decoder_sha256": b"decoder",
        "label_set_digest": b"[]",
    }
    named = {field: getattr(evaluation, field) for field in contents}
    assert named == {field: hashlib.sha256(content).hexdigest() for field, content in contents.items()}
    assert evaluation.code_version == own_code_version()


async def test_what_an_evaluation_is_about_can_not_be_deleted(evaluation, stubs, refused):
    with refused() as problem:
        await stubs.registry.DeleteClassifier(DeleteClassifierRequest(name=evaluation.candidate))
    assert problem.reason == "RESOURCE_IN_USE"


async def test_what_can_not_be_compared(stubs, records, refused):
    audit = await records.audit()
    other = await records.classifier(artifact=await records.artifact(b"other"))
    three = await records.classifier(class_count=3)
    wide = await records.classifier(image_shape=ImageShape(channels=1, height=9, width=9))
    for baseline, candidate in (
        (audit.classifier, three.name),
        (audit.classifier, wide.name),
        (other.name, audit.classifier),  # the audit is of another classifier
    ):
        with refused() as problem:
            await stubs.promotions.CreateEvaluation(request_for(baseline, candidate, audit.name))
        assert (problem.code, problem.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "RESOURCES_MISMATCHED",
        )


async def test_what_is_not_there_or_not_done(stubs, records, refused):
    audit = await records.audit()
    queued = await records.queued_audit()
    known, unknown = audit.classifier, f"classifiers/{UNKNOWN}"
    for names, reason in (
        ((unknown, known, audit.name), "RESOURCE_NOT_FOUND"),
        ((known, unknown, audit.name), "RESOURCE_NOT_FOUND"),
        ((known, known, f"audits/{UNKNOWN}"), "RESOURCE_NOT_FOUND"),
        ((queued.classifier, known, queued.name), "WRONG_STATE"),
        (("classifiers/", known, audit.name), "INVALID_FIELD"),
    ):
        with refused() as problem:
            await stubs.promotions.CreateEvaluation(request_for(*names))
        assert problem.reason == reason
    with refused() as problem:
        config = EvaluationConfig(device="cuda", seed=-2)
        await stubs.promotions.CreateEvaluation(request_for(known, known, audit.name, config=config))
    assert problem.fields == ("config.seed", "config.device")


async def test_a_repeated_request_makes_no_second_evaluation(stubs, records):
    audit = await records.audit()
    request = request_for(audit.classifier, audit.classifier, audit.name)
    first, second = [await stubs.promotions.CreateEvaluation(request) for _ in range(2)]
    assert first.name == second.name


async def test_evaluations_are_read_and_listed(evaluation, stubs):
    assert await stubs.promotions.GetEvaluation(GetEvaluationRequest(name=evaluation.name)) == evaluation
    listed = await stubs.promotions.ListEvaluations(ListEvaluationsRequest())
    assert [one.name for one in listed.evaluations] == [evaluation.name]


async def test_a_watch_of_an_evaluation_ends_when_it_is_cancelled(evaluation, stubs):
    call = stubs.promotions.WatchEvaluation(WatchEvaluationRequest(name=evaluation.name))
    assert (await call.read()).evaluation.state == JobState.JOB_STATE_QUEUED
    await stubs.promotions.CancelEvaluation(CancelEvaluationRequest(name=evaluation.name))
    assert (await call.read()).evaluation.state == JobState.JOB_STATE_CANCELLED
    assert await call.read() is grpc.aio.EOF


async def test_an_evaluation_that_is_not_there_is_not_found(stubs, refused):
    with refused() as problem:
        await stubs.promotions.GetEvaluation(GetEvaluationRequest(name=f"evaluations/{UNKNOWN}"))
    assert problem.code is grpc.StatusCode.NOT_FOUND


async def test_a_page_of_evaluations_with_many_regions_fits_into_a_message(stubs, records):
    checks = [
        Check(check="region_accuracy", subject=f"region {n}", explanation="e" * 400) for n in range(300)
    ]
    search = SecondSearch(seed_count=7, seed_candidates_before=range(5_000))
    made = [
        await records.made(Evaluation(checks=checks, second_search=search, baseline_sha256="b"))
        for _ in range(40)
    ]
    assert sum(one.ByteSize() for one in made) > 4 * 1024**2
    listed = (await stubs.promotions.ListEvaluations(ListEvaluationsRequest())).evaluations
    assert [one.name for one in listed] == [one.name for one in reversed(made)]
    for one in listed:
        assert (one.baseline_sha256, one.second_search.seed_count, len(one.checks)) == ("b", 7, 0)
    whole = await stubs.promotions.GetEvaluation(GetEvaluationRequest(name=made[0].name))
    assert (len(whole.checks), len(whole.second_search.seed_candidates_before)) == (300, 5_000)


async def test_the_policy_that_decides_is_in_the_record_with_every_default(stubs, records):
    audit = await records.audit()
    names = (audit.classifier, audit.classifier, audit.name)
    evaluation = await stubs.promotions.CreateEvaluation(request_for(*names))
    assert (evaluation.policy, evaluation.policy_sha256) == (DEFAULT.to_yaml(), DEFAULT.sha256)
    policy = "version: 1\nchecks: {audit_age: off}\n"
    evaluation = await stubs.promotions.CreateEvaluation(request_for(*names, policy=policy))
    assert "audit_age: off" in evaluation.policy
    assert "max_harm_share: 0.1" in evaluation.policy
    assert evaluation.policy_sha256 != DEFAULT.sha256


async def test_a_wrong_policy_is_refused_with_its_lines_before_anything_is_made(stubs, records, refused):
    audit = await records.audit()
    policy = "version: 1\nchecks:\n  clean_acuracy: {min: 0.9}\n"
    request = request_for(audit.classifier, audit.classifier, audit.name, policy=policy)
    with refused() as problem:
        await stubs.promotions.CreateEvaluation(request)
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "POLICY_INVALID")
    assert problem.fields == ("policy:3",)
    assert "did you mean clean_accuracy?" in problem.message
    assert not (await stubs.promotions.ListEvaluations(ListEvaluationsRequest())).evaluations


async def test_a_candidate_of_other_bytes_than_the_caller_means_is_not_evaluated(stubs, records, refused):
    audit = await records.audit()
    candidate = await records.classifier(artifact=await records.artifact(b"retrained"))
    meant, registered = (hashlib.sha256(text).hexdigest() for text in (b"changed since", b"retrained"))
    names = (audit.classifier, candidate.name, audit.name)
    with refused() as problem:
        await stubs.promotions.CreateEvaluation(request_for(*names, candidate_sha256=meant))
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CANDIDATE_CHANGED")
    assert problem.figures == {"expected": meant, "registered": registered}
    assert "register the file that you want to promote" in problem.message
    with refused() as problem:
        await stubs.promotions.CreateEvaluation(request_for(*names, candidate_sha256=registered.upper()))
    assert problem.fields == ("candidate_sha256",)
    evaluation = await stubs.promotions.CreateEvaluation(request_for(*names, candidate_sha256=registered))
    assert evaluation.candidate_sha256 == registered


async def test_an_audit_or_what_one_is_made_over_and_not_both(stubs, records, refused):
    audit = await records.audit()
    for fields, named in (
        ({"audit": ""}, ("audit",)),
        ({"audit": "", "vae": audit.vae}, ("dataset",)),
        ({"audit": "", "dataset": audit.dataset}, ("vae",)),
        ({"audit": audit.name, "vae": audit.vae, "dataset": audit.dataset}, ("vae", "dataset")),
    ):
        with refused() as problem:
            await stubs.promotions.CreateEvaluation(request_for(audit.classifier, audit.classifier, **fields))
        assert (problem.reason, problem.fields) == ("INVALID_FIELD", named)


async def test_the_same_bytes_under_another_name_are_the_same_baseline_unless_read_otherwise(
    stubs, records, refused
):
    audit = await records.audit()
    again = await records.classifier()
    evaluation = await stubs.promotions.CreateEvaluation(request_for(again.name, again.name, audit.name))
    assert evaluation.baseline == again.name
    other = await records.classifier(output_kind=OutputKind.OUTPUT_KIND_PROBABILITIES)
    with refused() as problem:
        await stubs.promotions.CreateEvaluation(request_for(other.name, other.name, audit.name))
    assert problem.reason == "RESOURCES_MISMATCHED"
