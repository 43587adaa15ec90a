"""What a real worker leaves behind an evaluation, and where its key never gets."""

import base64
import json
import re

import pytest
from defuse.evidence import verify
from defuse.v1.promotion_service_pb2 import Evaluation, Verdict
from defuse_server.evidence import keep, signing_key
from defuse_server.names import artifact_sha256
from junitparser import JUnitXml

pytestmark = pytest.mark.xdist_group("shared audit")

UNSIGNED = "EVIDENCE_UNSIGNED"


async def content(backend, artifact: str) -> bytes:
    stored = await backend.store.stat(artifact_sha256(artifact))
    return await backend.store.read(stored.sha256, 0, stored.size_bytes)


@pytest.fixture
async def files(refused, backend) -> dict[str, bytes]:
    """The evidence of an evaluation, by name."""
    return {field.name: await content(backend, artifact) for field, artifact in refused.evidence.ListFields()}


@pytest.fixture
def verified(files, key, refused):
    public = signing_key.public_path(key).read_bytes()
    return verify(files["envelope"], public, model_sha256=refused.candidate_sha256)


@pytest.fixture
def log(refused, service_folder) -> str:
    """What the workers logged."""
    return "".join(path.read_text() for path in service_folder.glob("worker-*.log"))


def warnings(evaluation: Evaluation) -> set[str]:
    return {warning.reason for warning in evaluation.warnings}


def test_an_evaluation_leaves_every_kind_of_evidence(files):
    assert set(files) == {"verdict", "envelope", "junit", "markdown", "html"}


def test_the_signed_statement_is_the_verdicts_document(verified, files, refused):
    assert verified.document == json.loads(files["verdict"])
    assert verified.document["evaluation"]["name"] == refused.name
    assert len(verified.document["checks"]) == len(refused.checks)


def test_all_evidence_tells_the_same_verdict(verified, files, refused):
    said = Verdict.Name(refused.verdict).removeprefix("VERDICT_")
    assert verified.verdict == said == "FAIL"
    assert f"## Defuse: {said}" in files["markdown"].decode()
    assert len(JUnitXml.fromstring(files["junit"])) == 1


def test_the_report_names_the_key_and_brings_its_pictures(verified, files, refused):
    html = files["html"].decode()
    assert verified.key_id in html
    assert UNSIGNED not in warnings(refused)
    for picture in re.findall(r'src="data:image/png;base64,([^"]+)"', html):
        assert base64.b64decode(picture).startswith(b"\x89PNG")


async def test_the_key_is_in_no_file_no_record_and_no_log(refused, key, service_folder, redis, verified, log):
    secret = base64.b64decode("".join(key.read_text().splitlines()[1:-1]))[-32:]
    told = [key.read_text().splitlines()[1], secret.hex(), base64.b64encode(secret).decode()]
    kept = [path.read_bytes() for path in service_folder.rglob("*") if path.is_file()]
    kept += [await redis.dump(name) or b"" async for name in redis.scan_iter()]
    for text in (secret, *(text.encode() for text in told)):
        assert not any(text in content for content in kept)
    assert verified.key_id in log


async def test_the_engine_gets_no_credentials(tiny, start_worker, key, monkeypatch, eventually):
    monkeypatch.setenv("DEFUSE_SIGNING_KEY", str(key))
    worker = start_worker()
    await tiny.audit(candidates_per_seed=100)
    await eventually(lambda: bool(worker.engines), 60.0)
    (engine, *_) = worker.engines
    environment, command = engine.environ(), engine.cmdline()
    assert "HOME" in environment
    assert not [name for name in environment if name.startswith("DEFUSE_")]
    for secret in ("must-not-reach-the-engine", str(key), "redis"):
        assert secret not in " ".join([*environment.values(), *command])
    assert str(key) not in [file.path for file in engine.open_files()]


@pytest.fixture
async def unsigned(labeled_audit, tiny, once) -> Evaluation:
    """An evaluation by a worker without a key."""

    async def work():
        return await tiny.evaluated(labeled_audit, labeled_audit.classifier)

    return await once("unsigned", work)


async def test_without_a_key_there_is_all_but_the_envelope_and_a_warning(unsigned, backend, service_folder):
    assert UNSIGNED in warnings(unsigned)
    assert unsigned.evidence.envelope == ""
    assert "not signed" in (await content(backend, unsigned.evidence.html)).decode()
    assert json.loads(await content(backend, unsigned.evidence.verdict))["verdict"] == "FAIL"
    assert any("evidence.unsigned" in log.read_text() for log in service_folder.glob("worker-*.log"))


async def test_a_worker_that_takes_over_leaves_the_same_evidence(unsigned, backend):
    again = Evaluation()
    again.CopyFrom(unsigned)
    again.ClearField("evidence")
    del again.warnings[:]
    again.warnings.extend(warning for warning in unsigned.warnings if warning.reason != UNSIGNED)
    await keep.keep(backend, again, None)
    assert again.evidence == unsigned.evidence
