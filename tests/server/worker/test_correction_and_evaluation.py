"""From an audit with labels to a corrected classifier and its verdict, through a real worker."""

import json

import onnx
import pytest
from defuse.v1.correction_service_pb2 import Correction, CorrectionConfig
from defuse.v1.error_reason_pb2 import ERROR_REASON_NO_CONFIRMED_BUG
from defuse.v1.models_pb2 import JOB_STATE_FAILED, JOB_STATE_QUEUED
from defuse.v1.promotion_service_pb2 import VERDICT_FAIL, VERDICT_PASS
from defuse.v1.registry_service_pb2 import REGISTRATION_STATE_READY
from defuse_server.labels import label_set
from defuse_server.names import artifact_sha256

pytestmark = pytest.mark.xdist_group("shared audit")


@pytest.fixture
async def correction(labeled_audit, tiny, backend, once):
    """A correction by the audit's labels as they stand."""

    async def work():
        digest, pairs = label_set.freeze(await backend.labeling.labels(labeled_audit.name))
        await label_set.keep(backend.store, pairs)
        started = await tiny.submit(
            Correction(
                state=JOB_STATE_QUEUED,
                audit=labeled_audit.name,
                label_set_digest=digest,
                config=CorrectionConfig(seed=1, epochs=4, learning_rate=0.05),
            )
        )
        return await tiny.succeeded(started.name)

    return await once("correction", work)


@pytest.fixture
async def corrected(correction, backend):
    return await backend.resources.get(correction.corrected_classifier)


@pytest.fixture
async def passed(labeled_audit, correction, tiny, once):
    """The evaluation of the corrected classifier."""

    async def work():
        return await tiny.evaluated(labeled_audit, correction.corrected_classifier)

    return await once("passed", work)


def test_the_record_of_a_correction_shows_every_setting(correction):
    assert (correction.config.epochs, correction.config.learning_rate) == (4, 0.05)
    assert list(correction.config.lambdas)
    assert correction.config.samples_per_region > 0


def test_one_point_of_the_curve_is_chosen_and_reads_the_regions_better(correction):
    (chosen,) = [point for point in correction.curve if point.chosen]
    assert chosen.region_accuracy > correction.baseline.region_accuracy


def test_the_corrected_file_computes_what_was_trained(correction):
    assert correction.parity_max_abs_error < 1e-3


def test_the_corrected_classifier_is_ready_for_use(corrected):
    assert corrected.state == REGISTRATION_STATE_READY
    assert corrected.class_count == 2


def test_the_corrected_classifiers_record_names_its_origin(corrected, correction, audit):
    lineage = corrected.lineage
    assert (lineage.parent, lineage.audit) == (audit.classifier, audit.name)
    assert (lineage.correction, lineage.label_set_digest) == (correction.name, correction.label_set_digest)


async def test_the_corrected_file_names_its_origin_itself(backend, audit, correction, corrected):
    """What is decided later is these bytes."""
    stored = await backend.store.stat(artifact_sha256(corrected.artifact))
    model = onnx.load_model_from_string(await backend.store.read(stored.sha256, 0, stored.size_bytes))
    told = {entry.key.removeprefix("defuse."): entry.value for entry in model.metadata_props}
    parent, vae, dataset = [
        await backend.resources.get(name) for name in (audit.classifier, audit.vae, audit.dataset)
    ]
    for key, artifact in {
        "parent_sha256": parent.artifact,
        "encoder_sha256": vae.encoder_artifact,
        "decoder_sha256": vae.decoder_artifact,
        "dataset_sha256": dataset.artifact,
        "audit_regions_sha256": await backend.regions.artifact(audit.name),
    }.items():
        assert f"artifacts/{told[key]}" == artifact
    assert told["label_set_digest"] == correction.label_set_digest
    assert not [key for key in told if "policy" in key or "verdict" in key]


def test_the_corrected_classifier_passes_the_gate(passed, corrected):
    assert passed.verdict == VERDICT_PASS, passed.checks
    assert passed.candidate_sha256 == artifact_sha256(corrected.artifact)


def test_an_evaluation_uses_the_labels_that_stand_when_it_is_made(passed, correction):
    assert passed.label_set_digest == correction.label_set_digest


def test_an_evaluation_makes_the_policys_checks(passed):
    assert {check.check for check in passed.checks} == {
        "clean_accuracy_change",
        "class_accuracy_change",
        "region_accuracy",
        "second_search",
        "unlabeled_regions",
        "audit_age",
    }
    assert "annotator_agreement: off" in passed.policy


def test_an_evaluation_compares_on_the_test_split(passed):
    change = passed.test_accuracy_after - passed.test_accuracy_before
    assert (passed.test_size, change > 0) == (300, True)
    assert sum(entry.gained_count - entry.lost_count for entry in passed.classes) == round(300 * change)


def test_an_evaluation_tells_of_each_region(passed, audit):
    known = {f"{audit.name}/regions/{number}" for number in range(audit.region_count)}
    assert {region.region for region in passed.regions} <= known
    assert {region.samples for region in passed.regions} == {300}
    assert any(region.confirmed for region in passed.regions)


def test_an_evaluation_searches_again(passed):
    assert passed.second_search.candidates_before > 0
    assert len(passed.second_search.seed_misclassifications_before) > 10


def test_a_candidate_that_repairs_nothing_fails_by_its_regions_alone(refused):
    assert refused.verdict == VERDICT_FAIL
    assert {check.check for check in refused.checks if check.verdict == VERDICT_FAIL} == {"region_accuracy"}


async def test_a_correction_without_a_confirmed_bug_says_so(audit, tiny, backend, start_worker):
    start_worker()
    regions = await backend.regions.all(audit.name)
    pairs = [(number, region.predicted_class) for number, region in enumerate(regions)]
    await label_set.keep(backend.store, pairs)
    digest = (await backend.store.put_bytes(json.dumps(pairs, separators=(",", ":")).encode())).sha256
    correction = await tiny.submit(
        Correction(state=JOB_STATE_QUEUED, audit=audit.name, label_set_digest=digest)
    )
    failed = await tiny.ended(correction.name)
    assert failed.state == JOB_STATE_FAILED
    assert failed.failure.reason == ERROR_REASON_NO_CONFIRMED_BUG
    assert failed.corrected_classifier == ""
