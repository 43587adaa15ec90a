"""Creating, watching, cancelling and deleting audits."""

import asyncio
import uuid

import grpc
import pytest
from defuse.v1.audit_service_pb2 import (
    PRESET_PAPER,
    SEARCH_METHOD_GRADIENT,
    SEARCH_METHOD_NEIGHBOURHOOD,
    SEARCH_METHOD_PAPER,
    SEARCH_METHOD_UNSPECIFIED,
    AuditConfig,
    CancelAuditRequest,
    CreateAuditRequest,
    DeleteAuditRequest,
    GetAuditRequest,
    GetRegionRequest,
    GetRegionSplitRequest,
    LabelingConfig,
    ListAuditsRequest,
    ListRegionsRequest,
    RegionState,
    WatchAuditRequest,
)
from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict
from defuse.v1.models_pb2 import ImageShape, JobState, Layout, Preprocessing, Progress, TensorSpec
from defuse_server.api.configs import audit_config
from defuse_server.errors import InvalidRequest
from defuse_server.validation import Violations

UNKNOWN = "0" * 18


async def read_to_end(call) -> list:
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


async def request_for(records, *, classifier=None, vae=None, dataset=None, **fields) -> CreateAuditRequest:
    return CreateAuditRequest(
        request_id=str(uuid.uuid4()),
        classifier=(classifier or await records.classifier()).name,
        vae=(vae or await records.vae()).name,
        dataset=(dataset or await records.dataset()).name,
        **fields,
    )


async def test_an_audit_is_queued_once_for_a_request(stubs, records):
    request = await request_for(records, display_name="nightly", config=AuditConfig(seed=7, device="cpu"))
    audit = await stubs.audits.CreateAudit(request)
    assert audit.state == JobState.JOB_STATE_QUEUED
    assert (audit.display_name, audit.config.seed, audit.classifier) == ("nightly", 7, request.classifier)
    assert (await stubs.audits.CreateAudit(request)).name == audit.name
    assert [a.name for a in (await stubs.audits.ListAudits(ListAuditsRequest())).audits] == [audit.name]


async def test_the_same_request_id_with_another_body(stubs, records, refused):
    request = await request_for(records)
    await stubs.audits.CreateAudit(request)
    request.config.seed = 1
    with refused() as problem:
        await stubs.audits.CreateAudit(request)
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


async def test_queued_audits_know_their_place(stubs, records):
    names = [(await stubs.audits.CreateAudit(await request_for(records))).name for _ in range(3)]
    places = [
        (await stubs.audits.GetAudit(GetAuditRequest(name=name))).progress.queue_position for name in names
    ]
    assert places == [0, 1, 2]


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (AuditConfig(preset=9), "preset"),
        (AuditConfig(seed=-1), "seed"),
        (AuditConfig(device="gpu"), "device"),
        (AuditConfig(device="cuda:"), "device"),
        (AuditConfig(device="cpu\n"), "device"),
        (AuditConfig(max_seeds=-1), "max_seeds"),
        (AuditConfig(candidates_per_seed=10_001), "candidates_per_seed"),
        (AuditConfig(kept_per_seed=-1), "kept_per_seed"),
        (AuditConfig(noise_scale=-0.1), "noise_scale"),
        (AuditConfig(noise_scale=10.5), "noise_scale"),
        (AuditConfig(noise_scale=float("nan")), "noise_scale"),
        (AuditConfig(neighbours=1001), "neighbours"),
        (AuditConfig(agreement_threshold=1.1), "agreement_threshold"),
        (AuditConfig(tau=float("inf")), "tau"),
        (AuditConfig(annotators_per_region=16), "annotators_per_region"),
        (AuditConfig(labeling=LabelingConfig(method=3)), "labeling.method"),
        (
            AuditConfig(annotators_per_region=3, labeling=LabelingConfig(max_annotators_per_region=2)),
            "labeling.max_annotators_per_region",
        ),
        (
            AuditConfig(annotators_per_region=5, labeling=LabelingConfig(max_annotators_per_region=4)),
            "labeling.max_annotators_per_region",
        ),
        (
            AuditConfig(labeling=LabelingConfig(max_annotators_per_region=31)),
            "labeling.max_annotators_per_region",
        ),
        (AuditConfig(labeling=LabelingConfig(gold_rate=-0.1)), "labeling.gold_rate"),
        (AuditConfig(labeling=LabelingConfig(gold_rate=0.51)), "labeling.gold_rate"),
        (AuditConfig(labeling=LabelingConfig(gold_rate=float("nan"))), "labeling.gold_rate"),
        (AuditConfig(preset=PRESET_PAPER, noise_scale=0.1), "noise_scale"),
        (AuditConfig(preset=PRESET_PAPER, belief_threshold=0.5), "belief_threshold"),
        (AuditConfig(belief_threshold=1.01), "belief_threshold"),
        (AuditConfig(belief_threshold=-0.5), "belief_threshold"),
        (AuditConfig(belief_threshold=float("nan")), "belief_threshold"),
        (AuditConfig(max_candidates=-1), "max_candidates"),
        (AuditConfig(budget_s=-1.0), "budget_s"),
        (AuditConfig(budget_s=float("inf")), "budget_s"),
        (AuditConfig(budget_s=float("nan")), "budget_s"),
        (AuditConfig(patience_shards=-2), "patience_shards"),
        (AuditConfig(methods=[SEARCH_METHOD_UNSPECIFIED]), "methods"),
        (AuditConfig(methods=[9]), "methods"),
        (AuditConfig(methods=[SEARCH_METHOD_GRADIENT, SEARCH_METHOD_GRADIENT]), "methods"),
        (AuditConfig(methods=[SEARCH_METHOD_PAPER]), "methods"),
        (AuditConfig(preset=PRESET_PAPER, methods=[SEARCH_METHOD_GRADIENT]), "methods"),
        (AuditConfig(preset=PRESET_PAPER, methods=[SEARCH_METHOD_PAPER, SEARCH_METHOD_GRADIENT]), "methods"),
    ],
)
async def test_configs_out_of_range(stubs, refused, config, wrong):
    request = CreateAuditRequest(
        request_id=str(uuid.uuid4()),
        classifier=f"classifiers/{UNKNOWN}",
        vae=f"vaes/{UNKNOWN}",
        dataset=f"datasets/{UNKNOWN}",
        config=config,
    )
    with refused() as problem:
        await stubs.audits.CreateAudit(request)
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert problem.fields == (f"config.{wrong}",)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (AuditConfig(candidates_per_seed=-1), "expected 1 to 10,000 (0 for the default), got -1"),
        (AuditConfig(budget_s=-1.0), "expected above 0 s (0 for no limit), got -1.0"),
        (AuditConfig(patience_shards=-2), "expected at least 1, or -1 for never (0 for the default), got -2"),
        (AuditConfig(seed=-1), "expected at least 0, got -1"),
        (AuditConfig(preset=PRESET_PAPER, neighbours=9), "PRESET_PAPER fixes it: leave it out"),
        (AuditConfig(methods=[9]), "expected one of SEARCH_METHOD_PAPER, SEARCH_METHOD_NEIGHBOURHOOD"),
    ],
)
def test_a_value_out_of_range_is_told_with_its_range(config, text):
    found = Violations()
    audit_config(found, config)
    with pytest.raises(InvalidRequest) as refused:
        found.check()
    ((_, said),) = refused.value.fields
    assert said.startswith(text)


@pytest.mark.parametrize(
    "config",
    [
        AuditConfig(
            methods=[SEARCH_METHOD_GRADIENT, SEARCH_METHOD_NEIGHBOURHOOD],
            max_candidates=10**12,
            budget_s=0.5,
            patience_shards=-1,
            belief_threshold=1.0,
        ),
        AuditConfig(preset=PRESET_PAPER, methods=[SEARCH_METHOD_PAPER], max_candidates=1, patience_shards=3),
        AuditConfig(
            annotators_per_region=1,
            labeling=LabelingConfig(
                method="CONSENSUS_METHOD_DAWID_SKENE", max_annotators_per_region=1, gold_rate=0.5
            ),
        ),
    ],
)
async def test_methods_and_budgets_in_range_are_kept(stubs, records, config):
    audit = await stubs.audits.CreateAudit(await request_for(records, config=config))
    assert audit.config == config


async def test_an_audit_of_what_is_not_there(stubs, refused, records):
    request = await request_for(records)
    request.vae = f"vaes/{UNKNOWN}"
    with refused() as problem:
        await stubs.audits.CreateAudit(request)
    assert (problem.code, problem.figures) == (grpc.StatusCode.NOT_FOUND, {"name": request.vae})


async def test_an_audit_of_what_is_not_ready(stubs, refused, records):
    from defuse.v1.registry_service_pb2 import Classifier

    request = await request_for(records, classifier=await records.made(Classifier()))
    with refused() as problem:
        await stubs.audits.CreateAudit(request)
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE")
    assert problem.figures["state"] == "INSPECTING"


OTHER_SHAPE = ImageShape(channels=3, height=2, width=3)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("classifier", {"class_count": 3}),
        ("classifier", {"class_count": 1}),
        ("classifier", {"image_shape": OTHER_SHAPE}),
        ("classifier", {"preprocessing": Preprocessing(mean=[0.1, 0.2, 0.3])}),
        (
            "classifier",
            {
                "image_shape": None,
                "preprocessing": Preprocessing(layout=Layout.LAYOUT_FLAT),
                "input": TensorSpec(shape=[-1, 784]),
            },
        ),
        ("vae", {"image_shape": OTHER_SHAPE}),
        ("dataset", {"class_names": ["a", "b", "c"]}),
        ("dataset", {"class_names": ["0", "1", "2"]}),
    ],
)
async def test_an_audit_of_what_does_not_fit(stubs, refused, records, kind, fields):
    request = await request_for(records, **{kind: await getattr(records, kind)(**fields)})
    with refused() as problem:
        await stubs.audits.CreateAudit(request)
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESOURCES_MISMATCHED")


async def test_a_layout_that_was_not_declared_is_named(stubs, refused, records):
    last = ImageShape(channels=2, height=3, width=1)
    request = await request_for(records, classifier=await records.classifier(image_shape=last))
    with refused() as problem:
        await stubs.audits.CreateAudit(request)
    assert problem.reason == "RESOURCES_MISMATCHED"
    assert "--layout nhwc" in problem.message


async def test_a_dataset_named_by_number_may_lack_the_last_classes(stubs, records):
    dataset = await records.dataset(class_names=["0"])
    audit = await stubs.audits.CreateAudit(await request_for(records, dataset=dataset))
    assert audit.state == JobState.JOB_STATE_QUEUED


async def test_a_watch_shows_every_state_and_ends_with_the_audit(stubs, records):
    audit = await records.queued_audit()
    call = stubs.audits.WatchAudit(WatchAuditRequest(name=audit.name))
    assert (await call.read()).audit.state == JobState.JOB_STATE_QUEUED
    attempt = await records.attempt(audit.name)
    assert (await call.read()).audit.state == JobState.JOB_STATE_RUNNING
    await attempt.progress(Progress(stage="identify", done=1, total=2, unit="seeds"))
    seen = await call.read()
    assert seen.audit.progress.stage == "identify"
    await attempt.succeed(audit)
    rest = await read_to_end(call)
    assert rest[-1].audit.state == JobState.JOB_STATE_SUCCEEDED

    again = stubs.audits.WatchAudit(WatchAuditRequest(name=audit.name, cursor=seen.cursor))
    assert [m.audit.state async for m in again] == [JobState.JOB_STATE_SUCCEEDED]
    nothing = stubs.audits.WatchAudit(WatchAuditRequest(name=audit.name, cursor=rest[-1].cursor))
    assert [m async for m in nothing] == []


async def test_a_watch_refuses_foreign_cursors_and_unknown_audits(stubs, refused, records):
    audit, other = await records.queued_audit(), await records.queued_audit()
    call = stubs.audits.WatchAudit(WatchAuditRequest(name=other.name))
    foreign = (await call.read()).cursor
    call.cancel()
    for cursor in ("nonsense", foreign):
        with refused() as problem:
            await stubs.audits.WatchAudit(WatchAuditRequest(name=audit.name, cursor=cursor)).read()
        assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CURSOR_UNKNOWN")
    with refused() as problem:
        await stubs.audits.WatchAudit(WatchAuditRequest(name=f"audits/{UNKNOWN}")).read()
    assert problem.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.003, 0.01, 0.1])
async def test_a_watcher_that_leaves_is_cleaned_up(stubs, records, backend, pause_s):
    """At whatever moment: also as the change that it waits for arrives."""
    audit = await records.queued_audit()
    call = stubs.audits.WatchAudit(WatchAuditRequest(name=audit.name))
    await call.read()
    waiting = backend.resources.changes._waiting
    assert audit.name in waiting
    change = asyncio.create_task(records.attempt(audit.name))
    await asyncio.sleep(pause_s)
    call.cancel()
    await change
    for _ in range(100):
        if audit.name not in waiting:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the watch goes on without its watcher")


async def test_a_queued_audit_is_cancelled_at_once_and_an_ended_one_stays(stubs, records, refused):
    audit = await stubs.audits.CreateAudit(await request_for(records))
    cancelled = await stubs.audits.CancelAudit(CancelAuditRequest(name=audit.name))
    assert cancelled.state == JobState.JOB_STATE_CANCELLED
    done = await records.audit()
    answer = await stubs.audits.CancelAudit(CancelAuditRequest(name=done.name))
    assert answer.state == JobState.JOB_STATE_SUCCEEDED
    with refused() as problem:
        await stubs.audits.CancelAudit(CancelAuditRequest(name=f"audits/{UNKNOWN}"))
    assert problem.code is grpc.StatusCode.NOT_FOUND


async def test_an_audit_is_deleted_with_its_regions_once_it_has_ended(stubs, records, refused):
    queued = await records.queued_audit()
    with refused() as problem:
        await stubs.audits.DeleteAudit(DeleteAuditRequest(name=queued.name))
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE")
    done = await records.audit(regions=1)
    await stubs.audits.DeleteAudit(DeleteAuditRequest(name=done.name))
    for call, request in (
        (stubs.audits.GetAudit, GetAuditRequest(name=done.name)),
        (stubs.audits.GetRegion, GetRegionRequest(name=f"{done.name}/regions/0")),
        (stubs.audits.ListRegions, ListRegionsRequest(parent=done.name)),
        (stubs.audits.DeleteAudit, DeleteAuditRequest(name=done.name)),
    ):
        with refused() as problem:
            await call(request)
        assert problem.code is grpc.StatusCode.NOT_FOUND


async def test_a_split_is_read_once_a_region_was_mixed(stubs, records, backend, refused):
    audit = await records.audit(regions=1)
    for name, code in (
        (f"{audit.name}/split", grpc.StatusCode.NOT_FOUND),
        (audit.name, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with refused() as problem:
            await stubs.audits.GetRegionSplit(GetRegionSplitRequest(name=name))
        assert problem.code == code
    (task,) = await backend.labels.lease(audit.name, "ann", 1, 60)
    mixed = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)
    await backend.labels.submit(task.region, task.lease_token, mixed, "")
    await backend.region_splits.begin()
    split = await stubs.audits.GetRegionSplit(GetRegionSplitRequest(name=f"{audit.name}/split"))
    assert (split.name, split.state) == (f"{audit.name}/split", JobState.JOB_STATE_QUEUED)
    region = await stubs.audits.GetRegion(GetRegionRequest(name=task.region))
    assert (list(region.parts), region.unsplit_reason) == ([], "")


async def test_regions_are_listed_in_order(stubs, records, refused):
    audit = await records.audit(regions=3)
    region = await stubs.audits.GetRegion(GetRegionRequest(name=f"{audit.name}/regions/1"))
    assert (region.predicted_class, region.state) == (1, RegionState.REGION_STATE_UNLABELED)
    first = await stubs.audits.ListRegions(ListRegionsRequest(parent=audit.name, page_size=2))
    rest = await stubs.audits.ListRegions(
        ListRegionsRequest(parent=audit.name, page_size=2, page_token=first.next_page_token)
    )
    names = [region.name for region in (*first.regions, *rest.regions)]
    assert names == [f"{audit.name}/regions/{number}" for number in range(3)]
    assert rest.next_page_token == ""
    confirmed = await stubs.audits.ListRegions(ListRegionsRequest(parent=audit.name, confirmed_only=True))
    assert not confirmed.regions
    for fields, reason in (
        ({"page_token": "nonsense"}, "PAGE_TOKEN_INVALID"),
        ({"state": 99}, "INVALID_FIELD"),
        ({"page_size": 1001}, "INVALID_FIELD"),
        ({"parent": "audits"}, "INVALID_FIELD"),
    ):
        with refused() as problem:
            await stubs.audits.ListRegions(ListRegionsRequest(**{"parent": audit.name, **fields}))
        assert problem.reason == reason
    for number, code in (("9", grpc.StatusCode.NOT_FOUND), ("01", grpc.StatusCode.INVALID_ARGUMENT)):
        with refused() as problem:
            await stubs.audits.GetRegion(GetRegionRequest(name=f"{audit.name}/regions/{number}"))
        assert problem.code is code


async def test_a_watcher_that_comes_as_another_leaves_hears_of_changes(records, backend):
    audit, changes = await records.queued_audit(), backend.resources.changes
    with changes.subscribed("another"):
        await asyncio.sleep(0.2)
    with changes.subscribed(audit.name) as changed:
        await asyncio.sleep(0.2)
        changed.clear()
        await records.attempt(audit.name)
        await asyncio.wait_for(changed.wait(), 2)
