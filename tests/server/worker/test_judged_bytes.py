"""Nothing is judged but the bytes, and by the code, that the record names."""

import re
from pathlib import Path

import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_DIGEST_MISMATCH, ERROR_REASON_MODEL_SIGNATURE
from defuse.v1.models_pb2 import JOB_STATE_FAILED, JOB_STATE_SUCCEEDED
from defuse.v1.promotion_service_pb2 import VERDICT_UNSPECIFIED
from defuse_server import redis_keys
from defuse_server.evaluations.code_version import own_code_version


@pytest.fixture
async def audit(tiny, start_worker):
    start_worker()
    audit = await tiny.ended((await tiny.audit(annotators_per_region=1)).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    return audit


@pytest.fixture
def alter(settings):
    """Change one byte of an artifact in the store; a second time: change it back."""

    def change(sha256: str) -> None:
        path = Path(settings.store_url) / "artifacts" / sha256[:2] / sha256
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return change


FIELDS = ("baseline_sha256", "candidate_sha256", "decoder_sha256", "dataset_sha256", "label_set_digest")


async def test_bytes_that_were_changed_in_the_store_are_not_judged(tiny, alter, start_worker):
    auditor = start_worker()
    audit = await tiny.ended((await tiny.audit(annotators_per_region=1)).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    auditor.end()
    for number, field in enumerate(FIELDS):
        # Of its own for each: the same question would be answered by the evaluation that is there.
        candidate = await tiny.ready_classifier(tiny.models.classifier(boundary=0.01 * number))
        evaluation = await tiny.evaluation(audit=audit.name, baseline=audit.classifier, candidate=candidate)
        sha256 = getattr(evaluation, field)
        alter(sha256)
        # Only now, so that the bytes change before the job's folder is built.
        judging = start_worker()
        failed = await tiny.ended(evaluation.name)
        judging.end()
        alter(sha256)
        assert (failed.state, failed.failure.reason) == (JOB_STATE_FAILED, ERROR_REASON_DIGEST_MISMATCH), (
            field
        )
        assert failed.failure.figures["expected"] == sha256
        assert re.search(
            f"artifacts/{sha256} have changed.*upload the original again", failed.failure.message
        )
        assert failed.verdict == VERDICT_UNSPECIFIED
        assert not failed.checks


async def test_a_candidate_that_takes_other_images_than_its_signature_tells_is_not_judged(audit, tiny):
    """Its shape is open in the file: only the first batch shows it."""
    candidate = await tiny.ready_classifier(tiny.models.classifier_of_flat_images(pixels=7))
    evaluation = await tiny.evaluation(audit=audit.name, baseline=audit.classifier, candidate=candidate)
    failed = await tiny.ended(evaluation.name)
    assert (failed.state, failed.failure.reason) == (JOB_STATE_FAILED, ERROR_REASON_MODEL_SIGNATURE)
    assert failed.verdict == VERDICT_UNSPECIFIED


async def test_the_record_names_the_code_of_the_worker_that_judged(audit, tiny, backend):
    expected = "0.0.9+000000000000"
    await backend.redis.set(redis_keys.CODE_VERSION, expected)
    fields = {"audit": audit.name, "baseline": audit.classifier, "candidate": audit.classifier}
    evaluation = await tiny.evaluation(**fields)
    assert evaluation.code_version == expected
    done = await tiny.ended(evaluation.name)
    assert done.state == JOB_STATE_SUCCEEDED, done.failure
    assert done.code_version == own_code_version()
    assert done.input_digest != evaluation.input_digest
    # What the older code would have said is still to be asked.
    assert (await tiny.evaluation(**fields)).name != evaluation.name
