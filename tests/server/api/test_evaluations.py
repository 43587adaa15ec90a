"""Creating evaluations; the other calls are those of audits."""

import hashlib
import uuid

import grpc
from defuse.v1.models_pb2 import ImageShape, JobState
from defuse.v1.promotion_service_pb2 import (
    CancelEvaluationRequest,
    CreateEvaluationRequest,
    EvaluationConfig,
    GetEvaluationRequest,
    ListEvaluationsRequest,
    WatchEvaluationRequest,
)
from defuse.v1.registry_service_pb2 import DeleteClassifierRequest

UNKNOWN = "0" * 18


def request_for(baseline: str, candidate: str, audit: str, **fields) -> CreateEvaluationRequest:
    return CreateEvaluationRequest(
        request_id=str(uuid.uuid4()), baseline=baseline, candidate=candidate, audit=audit, **fields
    )


async def test_an_evaluation_names_the_exact_bytes(stubs, records, refused):
    audit = await records.audit(regions=1)
    candidate = await records.classifier()
    evaluation = await stubs.promotions.CreateEvaluation(
        request_for(audit.classifier, candidate.name, audit.name)
    )
    assert (evaluation.state, evaluation.rule) == (JobState.JOB_STATE_QUEUED, "default-1")
    assert evaluation.candidate_sha256 == candidate.artifact.removeprefix("artifacts/")
    assert evaluation.baseline_sha256 == hashlib.sha256(b"onnx").hexdigest()
    assert evaluation.dataset_sha256 == hashlib.sha256(b"npz").hexdigest()
    assert evaluation.label_set_digest == hashlib.sha256(b"[]").hexdigest()
    with refused() as problem:
        await stubs.registry.DeleteClassifier(DeleteClassifierRequest(name=candidate.name))
    assert problem.reason == "RESOURCE_IN_USE"


async def test_what_can_not_be_compared(stubs, records, refused):
    audit = await records.audit()
    other = await records.classifier()
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


async def test_evaluations_are_read_listed_watched_and_cancelled(stubs, records, refused):
    audit = await records.audit()
    request = request_for(audit.classifier, audit.classifier, audit.name)
    evaluation = await stubs.promotions.CreateEvaluation(request)
    assert (await stubs.promotions.CreateEvaluation(request)).name == evaluation.name
    listed = await stubs.promotions.ListEvaluations(ListEvaluationsRequest())
    assert [e.name for e in listed.evaluations] == [evaluation.name]
    assert (await stubs.promotions.GetEvaluation(GetEvaluationRequest(name=evaluation.name))).audit
    call = stubs.promotions.WatchEvaluation(WatchEvaluationRequest(name=evaluation.name))
    assert (await call.read()).evaluation.state == JobState.JOB_STATE_QUEUED
    await stubs.promotions.CancelEvaluation(CancelEvaluationRequest(name=evaluation.name))
    assert (await call.read()).evaluation.state == JobState.JOB_STATE_CANCELLED
    assert await call.read() is grpc.aio.EOF
    with refused() as problem:
        await stubs.promotions.GetEvaluation(GetEvaluationRequest(name=f"evaluations/{UNKNOWN}"))
    assert problem.code is grpc.StatusCode.NOT_FOUND
