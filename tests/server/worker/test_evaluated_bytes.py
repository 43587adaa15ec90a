"""Nothing is evaluated but the bytes, and by the code, that the record names."""

import asyncio
import re
from pathlib import Path

import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_DIGEST_MISMATCH, ERROR_REASON_MODEL_SIGNATURE
from defuse.v1.models_pb2 import JOB_STATE_FAILED
from defuse.v1.promotion_service_pb2 import VERDICT_UNSPECIFIED
from defuse_server import redis_keys
from defuse_server.evaluations.code_version import own_code_version
from defuse_server.worker.fence import Fence
from defuse_server.worker.supervisor import Supervisor

pytestmark = pytest.mark.xdist_group("shared audit")

FIELDS = ("baseline_sha256", "candidate_sha256", "decoder_sha256", "dataset_sha256", "label_set_digest")


@pytest.mark.parametrize("field", FIELDS)
async def test_bytes_that_were_changed_in_the_store_get_no_verdict(
    audit, tiny, settings, backend, tmp_path, field
):
    candidate = await tiny.ready_classifier(tiny.models.classifier(boundary=0.0))
    evaluation = await tiny.evaluation(audit=audit.name, baseline=audit.classifier, candidate=candidate)
    sha256 = getattr(evaluation, field)
    change_a_byte(Path(settings.store_url) / "artifacts" / sha256[:2] / sha256)
    await Supervisor(backend, Fence(backend.redis, "test", 2.0), tmp_path).run(evaluation.name)
    failed = await backend.resources.get(evaluation.name)
    assert (failed.state, failed.failure.reason) == (JOB_STATE_FAILED, ERROR_REASON_DIGEST_MISMATCH)
    assert failed.failure.figures["expected"] == sha256
    assert re.search(f"artifacts/{sha256} have changed.*upload the original again", failed.failure.message)
    assert (failed.verdict, list(failed.checks)) == (VERDICT_UNSPECIFIED, [])


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


async def test_a_candidate_that_takes_other_images_than_its_signature_tells_gets_no_verdict(
    audit, tiny, start_worker
):
    """Its shape is open in the file: only the first batch shows it."""
    start_worker()
    candidate = await tiny.ready_classifier(tiny.models.classifier_of_flat_images(pixels=7))
    evaluation = await tiny.evaluation(audit=audit.name, baseline=audit.classifier, candidate=candidate)
    failed = await tiny.ended(evaluation.name)
    assert (failed.state, failed.failure.reason) == (JOB_STATE_FAILED, ERROR_REASON_MODEL_SIGNATURE)
    assert failed.verdict == VERDICT_UNSPECIFIED


async def test_the_record_names_the_code_of_the_worker_that_evaluated(audit, tiny, backend, start_worker):
    await backend.redis.delete(redis_keys.CODE_VERSION)
    start_worker()
    async with asyncio.timeout(60):
        while not await backend.redis.exists(redis_keys.CODE_VERSION):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    expected = "0.0.9+000000000000"
    await backend.redis.set(redis_keys.CODE_VERSION, expected)
    fields = {"audit": audit.name, "baseline": audit.classifier, "candidate": audit.classifier}
    evaluation = await tiny.evaluation(**fields)
    assert evaluation.code_version == expected
    done = await tiny.succeeded(evaluation.name)
    assert done.code_version == own_code_version()
    assert done.input_digest != evaluation.input_digest
    # What the older code would have said is still to be asked.
    assert (await tiny.evaluation(**fields)).name != evaluation.name
