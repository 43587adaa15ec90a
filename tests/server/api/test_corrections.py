"""Creating corrections and evaluations; the other calls are those of audits."""

import hashlib
import uuid

import grpc
import pytest
from defuse.v1.audit_service_pb2 import DeleteAuditRequest
from defuse.v1.correction_service_pb2 import (
    CancelCorrectionRequest,
    CorrectionConfig,
    CreateCorrectionRequest,
    GetCorrectionRequest,
    ListCorrectionsRequest,
    WatchCorrectionRequest,
)
from defuse.v1.label_service_pb2 import LabelAnswer, UndoLabelRequest
from defuse.v1.models_pb2 import JobState
from defuse_server.labels import label_set

UNKNOWN = "0" * 18


def request_for(audit: str, **fields) -> CreateCorrectionRequest:
    return CreateCorrectionRequest(request_id=str(uuid.uuid4()), audit=audit, **fields)


@pytest.fixture
async def labeled(records, backend):
    """An audit of three regions, all predicted as 1: one labeled 0 (a bug), one labeled 1, one not."""
    audit = await records.audit(regions=3)
    for task, label in zip(await backend.labels.lease(audit.name, "ann", 2, 60), (0, 1), strict=True):
        await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=label), "")
    return audit


async def test_a_correction_freezes_the_labels_as_they_are(stubs, labeled, backend, refused):
    correction = await stubs.corrections.CreateCorrection(request_for(labeled.name))
    assert correction.state == JobState.JOB_STATE_QUEUED
    assert correction.label_set_digest == hashlib.sha256(b"[[0,0],[1,1]]").hexdigest()
    assert (correction.labeled_region_count, correction.confirmed_region_count) == (2, 1)
    assert correction.regions_artifact == await backend.regions.artifact(labeled.name)
    assert await label_set.load(backend.store, correction.label_set_digest) == [(0, 0), (1, 1)]
    with refused() as problem:
        await stubs.labels.UndoLabel(UndoLabelRequest(region=f"{labeled.name}/regions/0", annotator="ann"))
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REGION_CLOSED")


async def test_a_repeated_request_answers_with_the_first_correction(stubs, labeled, backend):
    request = request_for(labeled.name)
    first = await stubs.corrections.CreateCorrection(request)
    (task,) = await backend.labels.lease(labeled.name, "ann", 1, 60)
    await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=0), "")
    again = await stubs.corrections.CreateCorrection(request)
    assert (again.name, again.label_set_digest) == (first.name, first.label_set_digest)


async def test_a_correction_keeps_its_audit(stubs, labeled, refused):
    await stubs.corrections.CreateCorrection(request_for(labeled.name))
    with refused() as problem:
        await stubs.audits.DeleteAudit(DeleteAuditRequest(name=labeled.name))
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESOURCE_IN_USE")


async def test_there_must_be_a_confirmed_bug(stubs, records, refused):
    audit = await records.audit(regions=1)
    with refused() as problem:
        await stubs.corrections.CreateCorrection(request_for(audit.name))
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_CONFIRMED_BUG")


async def test_the_classifier_must_have_gradients(stubs, records, refused):
    operations = ["TreeEnsembleClassifier", "ZipMap"]
    audit = await records.audit(regions=1, differentiable=False, undifferentiable_operations=operations)
    with refused() as problem:
        await stubs.corrections.CreateCorrection(request_for(audit.name))
    assert (problem.code, problem.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODEL_NOT_DIFFERENTIABLE",
    )
    assert all(operation in problem.message for operation in operations)
    assert problem.figures["operations"] == "TreeEnsembleClassifier, ZipMap"


async def test_the_audit_must_have_succeeded(stubs, records, refused):
    audit = await records.queued_audit()
    for name, code, reason in (
        (audit.name, grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE"),
        (f"audits/{UNKNOWN}", grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"),
        ("audits", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    ):
        with refused() as problem:
            await stubs.corrections.CreateCorrection(request_for(name))
        assert (problem.code, problem.reason) == (code, reason)


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (CorrectionConfig(seed=-1), "seed"),
        (CorrectionConfig(device="tpu"), "device"),
        (CorrectionConfig(lambdas=[0.0]), "lambdas"),
        (CorrectionConfig(lambdas=[float("inf")]), "lambdas"),
        (CorrectionConfig(lambdas=[1.0] * 21), "lambdas"),
        (CorrectionConfig(learning_rate=-1e-3), "learning_rate"),
        (CorrectionConfig(epochs=1001), "epochs"),
        (CorrectionConfig(samples_per_region=-5), "samples_per_region"),
        (CorrectionConfig(preset=3), "preset"),
    ],
)
async def test_configs_out_of_range(stubs, refused, config, wrong):
    with refused() as problem:
        await stubs.corrections.CreateCorrection(request_for(f"audits/{UNKNOWN}", config=config))
    assert (problem.reason, problem.fields) == ("INVALID_FIELD", (f"config.{wrong}",))


async def test_corrections_are_read_listed_watched_and_cancelled(stubs, labeled, refused):
    correction = await stubs.corrections.CreateCorrection(request_for(labeled.name))
    assert (await stubs.corrections.GetCorrection(GetCorrectionRequest(name=correction.name))).audit
    listed = await stubs.corrections.ListCorrections(ListCorrectionsRequest())
    assert [c.name for c in listed.corrections] == [correction.name]
    call = stubs.corrections.WatchCorrection(WatchCorrectionRequest(name=correction.name))
    assert (await call.read()).correction.state == JobState.JOB_STATE_QUEUED
    await stubs.corrections.CancelCorrection(CancelCorrectionRequest(name=correction.name))
    assert (await call.read()).correction.state == JobState.JOB_STATE_CANCELLED
    assert await call.read() is grpc.aio.EOF
    unknown = f"corrections/{UNKNOWN}"
    for start in (
        lambda: stubs.corrections.GetCorrection(GetCorrectionRequest(name=unknown)),
        lambda: stubs.corrections.WatchCorrection(WatchCorrectionRequest(name=unknown)).read(),
        lambda: stubs.corrections.CancelCorrection(CancelCorrectionRequest(name=unknown)),
    ):
        with refused() as problem:
            await start()
        assert problem.code is grpc.StatusCode.NOT_FOUND
