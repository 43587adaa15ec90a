"""An audit through a real worker and the real engine."""

import io

import numpy as np
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
from defuse.v1.error_reason_pb2 import (
    ERROR_REASON_PREFLIGHT_CLASSIFIER_ACCURACY,
    ERROR_REASON_PREFLIGHT_READABILITY,
)
from defuse.v1.models_pb2 import JOB_STATE_FAILED
from defuse.v1.registry_service_pb2 import Vae
from defuse_server.findings.chunk_messages import chunk_messages
from defuse_server.names import artifact_sha256

pytestmark = pytest.mark.xdist_group("shared audit")

LEFT, RIGHT = 0, 1


SHORT = {"max_candidates": 1}
"""The rest is the service's to choose."""


@pytest.fixture
async def short(tiny, once):
    """An audit that ends with its first shard."""

    async def work():
        return await tiny.succeeded((await tiny.audit(**SHORT)).name)

    return await once("short audit", work)


@pytest.fixture
async def messages(audit, backend):
    """All messages of the audit's chunks."""
    return [
        StreamMisclassificationsResponse.FromString(data)
        for chunk in await backend.chunks.list(audit.name)
        async for data in chunk_messages(backend.store, chunk)
    ]


@pytest.fixture
def found(messages):
    return [record for message in messages for record in message.misclassifications]


@pytest.fixture
async def regions(audit, backend):
    return await backend.regions.all(audit.name)


def test_the_record_shows_every_setting_that_nobody_chose(short):
    config = short.config
    assert (config.preset, config.device) == (PRESET_DEFAULT, "cpu")
    assert config.annotators_per_region == 1
    labeling = LabelingConfig(method=CONSENSUS_METHOD_MAJORITY, max_annotators_per_region=3, gold_rate=0)
    assert config.labeling == labeling
    assert all((config.max_seeds, config.neighbours, config.methods, config.patience_shards))
    assert 0 < config.agreement_threshold <= 1
    assert 0 < config.belief_threshold <= 1


def test_a_search_ends_with_its_budget_and_says_so(short):
    assert short.stop_reason == STOP_REASON_CANDIDATE_BUDGET
    assert len(short.saturation) == 1
    assert short.config.max_candidates == 1


def test_the_record_tells_how_the_job_went(audit):
    assert 0 < audit.times.start_time.seconds <= audit.times.end_time.seconds
    assert (audit.progress.attempt, audit.progress.device) == (1, "cpu")
    assert audit.preflight.readability == pytest.approx(1.0)
    assert 0 < audit.seed_count < 1200


async def test_the_record_counts_what_the_chunks_hold(audit, backend, found):
    chunks = await backend.chunks.list(audit.name)
    assert [chunk.shard for chunk in chunks] == [0, 1, 2]
    assert len(found) == audit.misclassification_count == sum(chunk.records for chunk in chunks) > 0
    assert audit.candidate_count == sum(chunk.candidates for chunk in chunks)
    assert audit.seed_count == sum(chunk.seeds for chunk in chunks)


def test_every_misclassification_has_the_code_that_was_tried_and_how_far_it_is_believed(audit, found):
    for record in found:
        assert record.seed_label != record.predicted_class
        assert len(record.code) == 2
        assert record.delta_norm > 0
        assert 0.5 <= record.confidence <= 1
        assert record.method in audit.config.methods
        assert audit.config.belief_threshold <= record.bug_probability <= 1


def test_cursors_name_the_shard(messages):
    assert {message.cursor.split(".")[0] for message in messages} == {"0", "1", "2"}


def test_the_saturation_curve_has_a_point_a_shard_and_ends_where_the_audit_did(audit, found):
    assert len(audit.saturation) == 3
    assert audit.saturation[-1].candidates == audit.candidate_count
    assert audit.saturation[-1].misclassifications == len(found)
    assert audit.stop_reason == STOP_REASON_SEEDS_EXHAUSTED


def test_belief_was_calibrated(audit):
    assert audit.HasField("calibration")


def test_the_one_bug_of_this_classifier_is_a_region(regions):
    """It says left in a stripe that is right."""
    assert any((region.seed_label, region.predicted_class) == (RIGHT, LEFT) for region in regions)


def test_regions_are_numbered_by_their_harm(audit, regions, found):
    assert audit.region_count == len(regions) > 0
    assert [region.name for region in regions] == [f"{audit.name}/regions/{n}" for n in range(len(regions))]
    harms = [region.harm.value for region in regions]
    assert harms == sorted(harms, reverse=True)
    assert sum(region.size for region in regions) <= len(found)


def test_every_region_has_its_figures_with_intervals(regions):
    for region in regions:
        assert len(region.mean) == 2
        assert 0 <= region.misclassification_rate.lower <= region.misclassification_rate.value
        assert 0 <= region.harm.lower <= region.harm.value <= region.harm.upper <= 1
        assert 0 < region.bug_probability <= 1


async def test_every_region_has_its_pictures(backend, regions):
    for region in regions:
        assert await are_pictures(backend, region.sheet, region.nearest_sheet)
        assert len(region.nearest) == region.nearest_sheet.count


async def test_annotators_can_begin(audit, backend, regions):
    assert {region.state for region in regions} == {REGION_STATE_UNLABELED}
    tasks = await backend.labels.lease(audit.name, "ann", 100, 60.0)
    assert [task.region for task in tasks] == [bug.name for bug in await backend.bugs.all(audit.name)]


async def test_every_region_is_a_cell_of_a_bug(audit, backend, regions):
    bugs = await backend.bugs.all(audit.name)
    cells = [cell for bug in bugs for cell in bug.cells]
    assert sorted(cells) == sorted(region.name for region in regions)
    assert {region.name: region.bug for region in regions} == {
        cell: bug.name for bug in bugs for cell in bug.cells
    }


async def test_every_bug_has_its_pictures(audit, backend):
    for bug in await backend.bugs.all(audit.name):
        assert await are_pictures(backend, bug.sheet, bug.nearest_sheet)
        assert len(bug.nearest) == bug.nearest_sheet.count


async def test_programs_get_the_samples_of_a_sheet_in_their_own_size(audit, backend):
    bug = (await backend.bugs.all(audit.name))[0]
    samples = np.load(io.BytesIO(await backend.store.read_whole(artifact_sha256(bug.sheet.samples_artifact))))
    side = bug.sheet.tile_height - 2 * bug.sheet.frame
    assert samples.dtype == np.uint8
    assert samples.shape[:2] == (bug.sheet.count, side // bug.sheet.zoom)


async def test_the_same_audit_twice_gives_the_same_bytes_and_leaves_no_file_behind(
    audit, tiny, start_worker, settings
):
    worker = start_worker()
    config = {"annotators_per_region": 1, "agreement_threshold": 0.8}
    again = await tiny.audit_of(audit.classifier, audit.vae, audit.dataset, **config)
    again = await tiny.succeeded(again.name)
    assert await tiny.published(again) == await tiny.published(audit)
    worker.stop()
    assert not list((settings.state_dir / "work").glob("*/*"))


async def are_pictures(backend, *sheets) -> bool:
    heads = [await backend.store.read(artifact_sha256(sheet.artifact), 0, 8) for sheet in sheets]
    return set(heads) == {b"\x89PNG\r\n\x1a\n"}


async def test_gold_tasks_show_dataset_items_where_an_audit_asks_for_them(tiny, start_worker, backend):
    start_worker()
    audit = await tiny.succeeded((await tiny.audit(labeling=LabelingConfig(gold_rate=0.5), **SHORT)).name)
    golds = [task for task in await backend.labeling.tasks(audit.name) if task.gold is not None]
    assert sorted(task.gold for task in golds) == ["0", "0", "0", "1", "1", "1"]
    for task in golds:
        shown = await backend.labeling.sheets(f"{audit.name}/regions/{task.number}")
        assert await are_pictures(backend, shown.sheet, shown.nearest_sheet)
    assert (await backend.labeling.progress(audit.name)).region_count == audit.region_count


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
    assert audit.times.end_time.seconds


async def test_an_audit_of_a_vae_that_nobody_can_read_shows_the_figures(tiny, start_worker):
    start_worker()
    classifier, _, dataset = await tiny.registered()
    decoder = await tiny.artifact(tiny.models.decoder(sign=-1.0))
    encoder = await tiny.artifact(tiny.models.encoder())
    vae = await tiny.ready(Vae(encoder_artifact=encoder, decoder_artifact=decoder))
    audit = await tiny.ended((await tiny.audit_of(classifier, vae, dataset)).name)
    assert audit.failure.reason == ERROR_REASON_PREFLIGHT_READABILITY
    assert 0 < audit.preflight.readability < 0.5 < audit.preflight.classifier_accuracy
    assert "The classifier still reads" in audit.preflight.readability_summary
