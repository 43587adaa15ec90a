"""From an audit with labels to a corrected classifier and its verdict, through a real worker."""

import json

import onnx
import pytest
from defuse.v1.correction_service_pb2 import Correction, CorrectionConfig
from defuse.v1.error_reason_pb2 import ERROR_REASON_NO_CONFIRMED_BUG
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse.v1.models_pb2 import JOB_STATE_FAILED, JOB_STATE_QUEUED, JOB_STATE_SUCCEEDED
from defuse.v1.promotion_service_pb2 import VERDICT_FAIL, VERDICT_PASS
from defuse.v1.registry_service_pb2 import REGISTRATION_STATE_READY
from defuse_server.labels import label_set

RIGHT = 1
# One annotator answers: nobody could disagree.
POLICY = "version: 1\nchecks: {annotator_agreement: off, region_accuracy: {samples: 300}}"


@pytest.fixture
async def audit(tiny, start_worker):
    start_worker()
    audit = await tiny.ended((await tiny.audit(annotators_per_region=1)).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    return audit


async def freeze_truth(backend, audit) -> str:
    """Label every region with what its mean shows; returns the frozen set's digest."""
    regions = {region.name: region for region in await backend.regions.range(audit.name, 0, 1000)}
    for task in await backend.labels.lease(audit.name, "ann", 100, 60.0):
        label = int(regions[task.region].mean[0] > 0)
        await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=label), "")
    digest, pairs = label_set.freeze(await backend.labeling.labels(audit.name))
    await label_set.keep(backend.store, pairs)
    return digest


async def test_a_correction_uses_the_frozen_labels_and_its_classifier_passes_the_gate(audit, tiny, backend):
    digest = await freeze_truth(backend, audit)
    correction = await tiny.submit(
        Correction(
            state=JOB_STATE_QUEUED,
            audit=audit.name,
            label_set_digest=digest,
            config=CorrectionConfig(seed=1, epochs=4, learning_rate=0.05),
        )
    )
    done = await tiny.ended(correction.name)
    assert done.state == JOB_STATE_SUCCEEDED, done.failure
    assert done.config.epochs == 4
    assert done.config.learning_rate == 0.05
    assert list(done.config.lambdas)
    assert done.config.samples_per_region > 0
    assert sum(point.chosen for point in done.curve) == 1
    (chosen,) = [point for point in done.curve if point.chosen]
    assert chosen.region_accuracy > done.baseline.region_accuracy
    assert done.parity_max_abs_error < 1e-3

    corrected = await backend.resources.get(done.corrected_classifier)
    assert corrected.state == REGISTRATION_STATE_READY
    assert corrected.class_count == 2
    assert corrected.lineage.parent == audit.classifier
    assert corrected.lineage.correction == done.name
    assert corrected.lineage.audit == audit.name
    assert corrected.lineage.label_set_digest == digest
    await assert_the_file_tells_its_origin(backend, audit, done, corrected)

    evaluation = await tiny.ended((await tiny.evaluation(**over(audit, corrected.name))).name)
    assert evaluation.state == JOB_STATE_SUCCEEDED, evaluation.failure
    assert evaluation.verdict == VERDICT_PASS, evaluation.checks
    assert evaluation.label_set_digest == digest
    assert {check.check for check in evaluation.checks} == {
        "clean_accuracy_change",
        "class_accuracy_change",
        "region_accuracy",
        "second_search",
        "unlabeled_regions",
        "audit_age",
    }
    assert "annotator_agreement: off" in evaluation.policy
    assert sum(entry.gained_count - entry.lost_count for entry in evaluation.classes) == round(
        300 * (evaluation.test_accuracy_after - evaluation.test_accuracy_before)
    )
    assert {region.samples for region in evaluation.regions} == {300}
    assert len(evaluation.second_search.seed_misclassifications_before) > 10
    assert evaluation.candidate_sha256 == corrected.artifact.removeprefix("artifacts/")
    assert evaluation.test_size == 300
    assert evaluation.test_accuracy_after > evaluation.test_accuracy_before
    assert {region.region for region in evaluation.regions} <= {
        f"{audit.name}/regions/{number}" for number in range(audit.region_count)
    }
    assert any(region.confirmed for region in evaluation.regions)
    assert evaluation.second_search.candidates_before > 0

    # A candidate that repairs nothing is judged too, and refused.
    evaluation = await tiny.ended((await tiny.evaluation(**over(audit, audit.classifier))).name)
    assert evaluation.state == JOB_STATE_SUCCEEDED, evaluation.failure
    assert evaluation.verdict == VERDICT_FAIL
    failed = {check.check for check in evaluation.checks if check.verdict == VERDICT_FAIL}
    assert failed == {"region_accuracy"}


async def assert_the_file_tells_its_origin(backend, audit, correction, corrected):
    """In the stored file itself: what is judged later is these bytes."""
    stored = await backend.store.stat(corrected.artifact.removeprefix("artifacts/"))
    model = onnx.load_model_from_string(await backend.store.read(stored.sha256, 0, stored.size_bytes))
    told = {entry.key: entry.value for entry in model.metadata_props}
    parent, vae, dataset = [
        await backend.resources.get(name) for name in (audit.classifier, audit.vae, audit.dataset)
    ]
    regions = await backend.regions.artifact(audit.name)
    for key, artifact in {
        "parent_sha256": parent.artifact,
        "encoder_sha256": vae.encoder_artifact,
        "decoder_sha256": vae.decoder_artifact,
        "dataset_sha256": dataset.artifact,
        "audit_regions_sha256": regions,
    }.items():
        assert f"artifacts/{told[f'defuse.{key}']}" == artifact
    assert told["defuse.label_set_digest"] == correction.label_set_digest
    assert not [key for key in told if "policy" in key or "verdict" in key]


async def test_a_correction_without_a_confirmed_bug_says_so(audit, tiny, backend):
    regions = await backend.regions.range(audit.name, 0, 1000)
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


def over(audit, candidate: str) -> dict[str, str]:
    return {"audit": audit.name, "baseline": audit.classifier, "candidate": candidate, "policy": POLICY}
