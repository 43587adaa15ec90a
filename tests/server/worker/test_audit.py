"""An audit through a real worker and the real engine."""

import pytest
from defuse.v1.audit_service_pb2 import (
    CONSENSUS_METHOD_MAJORITY,
    PRESET_DEFAULT,
    REGION_STATE_UNLABELED,
    STOP_REASON_CANDIDATE_BUDGET,
    STOP_REASON_SEEDS_EXHAUSTED,
    LabelingConfig,
    StreamMisclassificationsResponse,
)
from defuse.v1.error_reason_pb2 import ERROR_REASON_PREFLIGHT_CLASSIFIER_ACCURACY
from defuse.v1.models_pb2 import JOB_STATE_FAILED, JOB_STATE_SUCCEEDED
from defuse_server.findings.chunk_messages import chunk_messages

LEFT, RIGHT = 0, 1


@pytest.fixture
async def done(tiny, start_worker):
    start_worker()
    audit = await tiny.ended((await tiny.audit()).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    return audit


async def test_an_audit_publishes_all_that_it_finds(done, backend, settings):
    # The record shows what was used, with every default filled in.
    assert done.config.preset == PRESET_DEFAULT
    assert done.config.max_seeds > 0
    assert done.config.neighbours > 0
    assert 0 < done.config.agreement_threshold <= 1
    assert done.config.annotators_per_region == 3
    assert done.config.labeling.method == CONSENSUS_METHOD_MAJORITY
    assert (done.config.labeling.max_annotators_per_region, done.config.labeling.gold_rate) == (5, 0)
    assert done.config.device == "cpu"
    assert done.config.methods
    assert 0 < done.config.belief_threshold <= 1
    assert done.config.patience_shards
    assert done.preflight.readability == pytest.approx(1.0)
    assert 0 < done.seed_count < 1200
    assert done.times.start_time.seconds
    assert done.times.end_time.seconds
    assert done.progress.attempt == 1
    assert done.progress.device == "cpu"

    # The chunks hold as many misclassifications as the record says, each with the code that was tried.
    chunks = await backend.chunks.list(done.name)
    assert [chunk.shard for chunk in chunks] == [0, 1, 2]
    messages = [
        StreamMisclassificationsResponse.FromString(data)
        for chunk in chunks
        async for data in chunk_messages(backend.store, chunk)
    ]
    found = [record for message in messages for record in message.misclassifications]
    assert len(found) == done.misclassification_count == sum(chunk.records for chunk in chunks) > 0
    assert done.candidate_count == sum(chunk.candidates for chunk in chunks)
    assert all(record.seed_label != record.predicted_class for record in found)
    assert all(len(record.code) == 2 for record in found)
    assert all(0.5 <= record.confidence <= 1 and record.delta_norm > 0 for record in found)
    assert {message.cursor.split(".")[0] for message in messages} == {"0", "1", "2"}

    assert {record.method for record in found} <= set(done.config.methods)
    assert all(done.config.belief_threshold <= record.bug_probability <= 1 for record in found)

    # The curve has a point a shard and ends where the audit did.
    assert len(done.saturation) == len(chunks)
    assert done.saturation[-1].candidates == done.candidate_count
    assert done.saturation[-1].misclassifications == len(found)
    assert done.stop_reason == STOP_REASON_SEEDS_EXHAUSTED
    assert done.HasField("calibration")

    # The one bug of this classifier: it says left in a stripe that is right.
    regions = await backend.regions.range(done.name, 0, 100)
    assert done.region_count == len(regions) > 0
    assert [region.name for region in regions] == [f"{done.name}/regions/{n}" for n in range(len(regions))]
    assert any((region.seed_label, region.predicted_class) == (RIGHT, LEFT) for region in regions)
    assert sum(region.size for region in regions) <= len(found)
    for region in regions:
        assert region.state == REGION_STATE_UNLABELED
        assert len(region.mean) == 2
        assert 0 <= region.misclassification_rate.lower <= region.misclassification_rate.value
        assert 0 <= region.harm.lower <= region.harm.value <= region.harm.upper <= 1
        assert 0 < region.bug_probability <= 1
        for sheet in (region.sheet, region.nearest_sheet):
            content = await backend.store.read(sheet.artifact.removeprefix("artifacts/"), 0, 8)
            assert content == b"\x89PNG\r\n\x1a\n"
        assert len(region.nearest) == region.nearest_sheet.count

    harms = [region.harm.value for region in regions]
    assert harms == sorted(harms, reverse=True)

    # Annotators can begin.
    tasks = await backend.labels.lease(done.name, "ann", 100, 60.0)
    assert [task.region for task in tasks] == [region.name for region in regions]

    # Nothing is left behind.
    assert not list((settings.state_dir / "work").glob("*/*"))


async def test_gold_tasks_show_dataset_items_where_an_audit_asks_for_them(tiny, start_worker, backend):
    start_worker()
    audit = await tiny.ended((await tiny.audit(labeling=LabelingConfig(gold_rate=0.5))).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    golds = [task for task in await backend.labeling.tasks(audit.name) if task.gold is not None]
    assert sorted(task.gold for task in golds) == ["0", "0", "0", "1", "1", "1"]
    for task in golds:
        shown = await backend.labeling.sheets(f"{audit.name}/regions/{task.number}")
        for sheet in (shown.sheet, shown.nearest_sheet):
            content = await backend.store.read(sheet.artifact.removeprefix("artifacts/"), 0, 8)
            assert content == b"\x89PNG\r\n\x1a\n"
    assert (await backend.labeling.progress(audit.name)).region_count == audit.region_count


async def test_a_search_ends_with_its_budget_and_says_so(tiny, start_worker):
    start_worker()
    audit = await tiny.ended((await tiny.audit(max_candidates=1)).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    assert audit.stop_reason == STOP_REASON_CANDIDATE_BUDGET
    assert len(audit.saturation) == 1
    assert audit.config.max_candidates == 1


async def test_the_same_audit_twice_gives_the_same_bytes(done, tiny):
    again = await tiny.ended((await tiny.audit_of(done.classifier, done.vae, done.dataset)).name)
    assert again.state == JOB_STATE_SUCCEEDED
    assert await tiny.published(again) == await tiny.published(done)


async def test_an_audit_that_fails_its_preflight_says_why_and_shows_the_figures(tiny, start_worker):
    start_worker()
    vae, dataset = (await tiny.registered())[1:]
    # Labels in the other order: it is wrong nearly everywhere.
    content = tiny.models.classifier(sharpness=-20.0)
    wrong = await tiny.ready_classifier(content)
    audit = await tiny.ended((await tiny.audit_of(wrong, vae, dataset)).name)
    assert audit.state == JOB_STATE_FAILED
    assert audit.failure.reason == ERROR_REASON_PREFLIGHT_CLASSIFIER_ACCURACY
    assert "classifier_accuracy" in audit.failure.figures
    assert audit.preflight.classifier_accuracy < 0.5
    assert audit.times.end_time.seconds
