"""Verified proposals are labels of corrections and evaluations, and say so."""

import uuid

import grpc
import pytest
from defuse.v1.audit_service_pb2 import Bug
from defuse.v1.correction_service_pb2 import CreateCorrectionRequest, ProposalUse
from defuse.v1.label_service_pb2 import GetLabelingReportRequest, LabelAnswer
from defuse.v1.promotion_service_pb2 import CreateEvaluationRequest
from defuse_server.findings.regions import REGIONS_ARTIFACT
from defuse_server.labels import label_set
from defuse_server.names import FIRST_BUG

BUGS = 40
SEEDS_LABEL = 0


@pytest.fixture
async def audit(records, backend):
    """An ended audit of many bugs with two regions each; their readers are sure. Returns its record."""
    audit = await records.queued_audit()
    attempt = await records.attempt(audit.name)
    for number in range(2 * BUGS):
        await records.publish_region(attempt, number)
    for number in range(BUGS):
        cells = [f"{audit.name}/regions/{cell}" for cell in (2 * number, 2 * number + 1)]
        bug = Bug(name=f"{audit.name}/bugs/{number}", cells=cells, shown_cells=cells, seed_label=SEEDS_LABEL)
        bug.predicted_class, bug.label_probability, bug.harm.value = 1, 0.97, 1e-4
        await backend.bugs.publish(audit.name, bug, attempt.number)
    await backend.labels.open(audit.name, range(FIRST_BUG, FIRST_BUG + BUGS), 1)
    await attempt.remember(REGIONS_ARTIFACT, await records.artifact(b"regions"))
    await attempt.succeed(audit)
    return await backend.resources.get(audit.name)


@pytest.fixture
async def answered(backend, audit):
    """The numbers of the bugs that people answered as the readers do; they verify the others."""
    missing = (await backend.labeling.proposals(audit.name)).verification.missing
    for task in await backend.labels.lease(audit.name, "ann", 100, 60):
        if int(task.region.rpartition("/")[2]) in missing:
            answer = LabelAnswer(label=SEEDS_LABEL)
            await backend.labels.submit(task.region, task.lease_token, answer, "")
        else:
            await backend.labels.release(task.region, task.lease_token)
    return missing


def correct(audit, **fields) -> CreateCorrectionRequest:
    return CreateCorrectionRequest(request_id=str(uuid.uuid4()), audit=audit.name, **fields)


async def test_a_correction_uses_verified_proposals_and_counts_them(stubs, backend, audit, answered):
    correction = await stubs.corrections.CreateCorrection(correct(audit))
    assert correction.labeled_region_count == correction.confirmed_region_count == 2 * BUGS
    assert correction.proposal_region_count == 2 * (BUGS - len(answered)) > 0
    labels = await label_set.load(backend.store, correction.label_set_digest)
    assert labels == [(number, SEEDS_LABEL) for number in range(2 * BUGS)]


async def test_a_correction_can_leave_them_out(stubs, backend, audit, answered):
    request = correct(audit, proposals=ProposalUse.PROPOSAL_USE_OFF)
    correction = await stubs.corrections.CreateCorrection(request)
    assert (correction.proposals, correction.proposal_region_count) == (ProposalUse.PROPOSAL_USE_OFF, 0)
    labels = await label_set.load(backend.store, correction.label_set_digest)
    assert {number // 2 for number, _ in labels} == set(answered)


async def test_a_use_that_does_not_exist_is_refused(stubs, audit, refused):
    with refused() as problem:
        await stubs.corrections.CreateCorrection(correct(audit, proposals=9))
    assert (problem.code, problem.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("proposals",))


async def test_a_proposal_that_somebody_answered_stays_out(stubs, backend, audit, answered):
    left = next(number for number in range(BUGS) if number not in answered)
    for task in await backend.labels.lease(audit.name, "ann", 100, 60):
        if task.region == f"{audit.name}/bugs/{left}":
            await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=1), "")
    correction = await stubs.corrections.CreateCorrection(correct(audit))
    labels = await label_set.load(backend.store, correction.label_set_digest)
    assert {2 * left, 2 * left + 1}.isdisjoint(number for number, _ in labels)


async def test_an_evaluation_is_held_to_verified_proposals(stubs, records, backend, audit, answered):
    candidate = await records.classifier(artifact=await records.artifact(b"another"))
    evaluation = await stubs.promotions.CreateEvaluation(
        CreateEvaluationRequest(
            request_id=str(uuid.uuid4()),
            baseline=audit.classifier,
            candidate=candidate.name,
            audit=audit.name,
        )
    )
    assert evaluation.labeling.proposal_count == BUGS - len(answered)
    assert evaluation.labeling.unlabeled_count == 0
    assert evaluation.labeling.unlabeled_harm_share == 0
    labels = await label_set.load(backend.store, evaluation.label_set_digest)
    assert len(labels) == 2 * BUGS


async def test_the_report_says_how_many_labels_are_proposals(stubs, audit, answered):
    report = await stubs.labels.GetLabelingReport(GetLabelingReportRequest(audit=audit.name))
    assert report.outlook.verified
    assert report.outlook.labeled_bug_count == len(answered)
    assert report.outlook.proposal_count == BUGS - len(answered)
