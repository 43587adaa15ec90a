"""Annotators and their leases, over gRPC. (The queue itself has tests of its own.)"""

import grpc
import pytest
from defuse.v1.audit_service_pb2 import GetRegionRequest, RegionState
from defuse.v1.label_service_pb2 import (
    ExtendLeaseRequest,
    GetLabelingProgressRequest,
    GetLabelingReportRequest,
    LabelAnswer,
    LabelVerdict,
    LeaseLabelTasksRequest,
    ListLabelTasksRequest,
    ReleaseLabelTaskRequest,
    SkipLabelTaskRequest,
    SubmitLabelRequest,
    UndoLabelRequest,
)
from google.protobuf.duration_pb2 import Duration

UNKNOWN = f"audits/{'0' * 18}"


async def lease(stubs, audit: str, annotator: str = "ann"):
    answer = await stubs.labels.LeaseLabelTasks(LeaseLabelTasksRequest(audit=audit, annotator=annotator))
    return answer.tasks[0]


async def test_a_label_confirms_a_bug_and_can_be_undone(stubs, records):
    audit = await records.audit(regions=2)
    task = await lease(stubs, audit.name)
    assert (task.region, list(task.class_names)) == (f"{audit.name}/regions/0", ["left", "right"])
    answer = await stubs.labels.SubmitLabel(
        SubmitLabelRequest(region=task.region, lease_token=task.lease_token, answer=LabelAnswer(label=0))
    )
    assert (answer.state, answer.answer_count) == (RegionState.REGION_STATE_LABELED, 1)
    assert (await stubs.audits.GetRegion(GetRegionRequest(name=task.region))).confirmed
    progress = await stubs.labels.GetLabelingProgress(GetLabelingProgressRequest(audit=audit.name))
    assert (progress.region_count, progress.labeled_count, progress.confirmed_count) == (2, 1, 1)
    undone = await stubs.labels.UndoLabel(UndoLabelRequest(region=task.region, annotator="ann"))
    assert undone.state == RegionState.REGION_STATE_UNLABELED


async def test_leases_are_extended_and_given_back(stubs, records, refused):
    audit = await records.audit(regions=1)
    task = await lease(stubs, audit.name)
    extended = await stubs.labels.ExtendLease(
        ExtendLeaseRequest(region=task.region, lease_token=task.lease_token, lease=Duration(seconds=3600))
    )
    assert extended.lease_expire_time.seconds > task.lease_expire_time.seconds + 3000
    held = ReleaseLabelTaskRequest(region=task.region, lease_token=task.lease_token)
    released = await stubs.labels.ReleaseLabelTask(held)
    assert released.state == RegionState.REGION_STATE_UNLABELED
    with refused() as problem:
        await stubs.labels.ReleaseLabelTask(held)
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST")


async def test_skips_show_with_their_reason_in_the_report(stubs, records, refused):
    audit = await records.audit(regions=2)
    task = await lease(stubs, audit.name)
    skip = SkipLabelTaskRequest(region=task.region, lease_token=task.lease_token, reason="<script>")
    for _ in range(2):
        assert (await stubs.labels.SkipLabelTask(skip)).state == RegionState.REGION_STATE_UNLABELED
    assert (await lease(stubs, audit.name)).region == f"{audit.name}/regions/1"
    report = await stubs.labels.GetLabelingReport(GetLabelingReportRequest(audit=audit.name))
    assert [(one.region, one.annotator, one.reason) for one in report.skips] == [
        (task.region, "ann", "<script>")
    ]
    assert report.progress.region_count == 2
    skip.reason = "x" * 2001
    with refused() as problem:
        await stubs.labels.SkipLabelTask(skip)
    assert problem.fields == ("reason",)


async def test_listed_tasks_show_no_token(stubs, records):
    audit = await records.audit(regions=2)
    await lease(stubs, audit.name)
    listed = await stubs.labels.ListLabelTasks(ListLabelTasksRequest(audit=audit.name))
    assert [task.lease_token for task in listed.tasks] == ["", ""]
    leased = ListLabelTasksRequest(audit=audit.name, state=RegionState.REGION_STATE_LEASED)
    assert len((await stubs.labels.ListLabelTasks(leased)).tasks) == 1


async def test_answers_that_can_not_be(stubs, records, refused):
    audit = await records.audit(regions=1)
    task = await lease(stubs, audit.name)
    for answer, reason in (
        (LabelAnswer(), "INVALID_FIELD"),
        (LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_UNSPECIFIED), "INVALID_FIELD"),
        (LabelAnswer(verdict=99), "INVALID_FIELD"),
        (LabelAnswer(label=2), "LABEL_UNKNOWN"),
        (LabelAnswer(label=-1), "LABEL_UNKNOWN"),
    ):
        with refused() as problem:
            await stubs.labels.SubmitLabel(
                SubmitLabelRequest(region=task.region, lease_token=task.lease_token, answer=answer)
            )
        assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    with refused() as problem:
        await stubs.labels.SubmitLabel(
            SubmitLabelRequest(region=task.region, lease_token="foreign", answer=LabelAnswer(label=0))
        )
    assert problem.reason == "LEASE_LOST"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"audit": "x"}, "audit"),
        ({"annotator": ""}, "annotator"),
        ({"annotator": "a" * 101}, "annotator"),
        ({"max_tasks": 101}, "max_tasks"),
        ({"max_tasks": -1}, "max_tasks"),
        ({"lease": Duration(nanos=500)}, "lease"),
        ({"lease": Duration(seconds=3601)}, "lease"),
    ],
)
async def test_leases_that_are_asked_for_wrong(stubs, refused, fields, wrong):
    request = LeaseLabelTasksRequest(**{"audit": UNKNOWN, "annotator": "ann", **fields})
    with refused() as problem:
        await stubs.labels.LeaseLabelTasks(request)
    assert (problem.code, problem.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (wrong,))


async def test_what_is_not_there(stubs, refused, records):
    audit = await records.audit()
    region = f"{audit.name}/regions/0"
    calls = [
        (stubs.labels.LeaseLabelTasks, LeaseLabelTasksRequest(audit=UNKNOWN, annotator="ann")),
        (stubs.labels.ListLabelTasks, ListLabelTasksRequest(audit=UNKNOWN)),
        (stubs.labels.GetLabelingProgress, GetLabelingProgressRequest(audit=UNKNOWN)),
        (stubs.labels.GetLabelingReport, GetLabelingReportRequest(audit=UNKNOWN)),
        (stubs.labels.SkipLabelTask, SkipLabelTaskRequest(region=region, lease_token="t")),
        (stubs.labels.ExtendLease, ExtendLeaseRequest(region=region, lease_token="t")),
        (stubs.labels.ReleaseLabelTask, ReleaseLabelTaskRequest(region=region, lease_token="t")),
        (stubs.labels.UndoLabel, UndoLabelRequest(region=region, annotator="ann")),
        (
            stubs.labels.SubmitLabel,
            SubmitLabelRequest(region=region, lease_token="t", answer=LabelAnswer(label=0)),
        ),
    ]
    for call, request in calls:
        with refused() as problem:
            await call(request)
        assert (problem.code, problem.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
