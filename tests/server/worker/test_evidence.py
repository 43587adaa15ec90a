"""What a real worker leaves behind an evaluation, and where its key never gets."""

import base64
import json
import re

import pytest
from defuse.evidence import verify
from defuse.v1.models_pb2 import JOB_STATE_QUEUED, JOB_STATE_SUCCEEDED
from defuse.v1.promotion_service_pb2 import Evaluation, Verdict
from defuse_server.evidence import keep, signing_key
from defuse_server.labels import label_set
from defuse_server.names import artifact_sha256
from junitparser import JUnitXml


async def evaluated(tiny, backend):
    """An audit's classifier, judged as its own candidate: it repairs nothing."""
    audit = await tiny.ended((await tiny.audit(annotators_per_region=1)).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    pairs = [(number, 1) for number in range(audit.region_count)]
    digest = (await backend.store.put_bytes(label_set.canonical_json(pairs))).sha256
    evaluation = Evaluation(
        state=JOB_STATE_QUEUED,
        audit=audit.name,
        baseline=audit.classifier,
        candidate=audit.classifier,
        label_set_digest=digest,
        regions_artifact=await backend.regions.artifact(audit.name),
    )
    evaluation = await tiny.ended((await tiny.submit(evaluation)).name)
    assert evaluation.state == JOB_STATE_SUCCEEDED, evaluation.failure
    return evaluation


async def content(backend, artifact):
    stored = await backend.store.stat(artifact_sha256(artifact))
    return await backend.store.read(stored.sha256, 0, stored.size_bytes)


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key.pem"
    signing_key.make(path)
    return path


async def test_the_evidence_is_signed_and_the_key_stays_in_the_worker(
    tiny, backend, start_worker, key, monkeypatch, tmp_path, redis
):
    monkeypatch.setenv("DEFUSE_SIGNING_KEY", str(key))
    worker = start_worker()
    evaluation = await evaluated(tiny, backend)

    files = {
        field.name: await content(backend, artifact) for field, artifact in evaluation.evidence.ListFields()
    }
    assert set(files) == {"verdict", "envelope", "junit", "markdown", "html"}
    public = signing_key.public_path(key).read_bytes()
    verified = verify(files["envelope"], public, model_sha256=evaluation.candidate_sha256)
    said = Verdict.Name(evaluation.verdict).removeprefix("VERDICT_")
    assert verified.verdict == said != "PASS"
    assert verified.document == json.loads(files["verdict"])
    assert verified.document["evaluation"]["name"] == evaluation.name
    assert len(verified.document["checks"]) == len(evaluation.checks)
    assert len(JUnitXml.fromstring(files["junit"])) == 1
    assert f"## Defuse: {said}" in files["markdown"].decode()
    html = files["html"].decode()
    assert verified.key_id in html
    assert "EVIDENCE_UNSIGNED" not in {warning.reason for warning in evaluation.warnings}
    for picture in re.findall(r'src="data:image/png;base64,([^"]+)"', html):
        assert base64.b64decode(picture).startswith(b"\x89PNG")

    secret = base64.b64decode("".join(key.read_text().splitlines()[1:-1]))[-32:]
    told = [key.read_text().splitlines()[1], secret.hex(), base64.b64encode(secret).decode()]
    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes()
    log = worker.log.read_text()
    assert verified.key_id in log
    stored = b""
    async for name in redis.scan_iter():
        stored += await redis.dump(name) or b""
    assert secret not in stored
    for text in told:
        assert text not in log
        assert text.encode() not in stored


async def test_the_engine_is_told_nothing_of_the_key(
    tiny, backend, start_worker, key, monkeypatch, eventually
):
    monkeypatch.setenv("DEFUSE_SIGNING_KEY", str(key))
    worker = start_worker()
    await tiny.audit(candidates_per_seed=100)
    await eventually(lambda: bool(worker.engines), 60.0)
    (engine, *_) = worker.engines
    environment = engine.environ()
    assert "HOME" in environment
    assert not [name for name in environment if name.startswith("DEFUSE_")]
    assert str(key) not in " ".join([*environment.values(), *engine.cmdline()])
    assert str(key) not in [file.path for file in engine.open_files()]


async def test_without_a_key_there_is_all_but_the_envelope_and_a_warning(
    tiny, backend, start_worker, monkeypatch
):
    monkeypatch.delenv("DEFUSE_SIGNING_KEY", raising=False)
    worker = start_worker()
    evaluation = await evaluated(tiny, backend)
    assert "EVIDENCE_UNSIGNED" in {warning.reason for warning in evaluation.warnings}
    assert evaluation.evidence.envelope == ""
    assert "evidence.unsigned" in worker.log.read_text()
    html = (await content(backend, evaluation.evidence.html)).decode()
    assert "not signed" in html
    assert json.loads(await content(backend, evaluation.evidence.verdict))["verdict"] == "FAIL"

    # The same evaluation again, as a worker that took over writes it.
    again = Evaluation()
    again.CopyFrom(evaluation)
    again.ClearField("evidence")
    del again.warnings[:]
    again.warnings.extend(w for w in evaluation.warnings if w.reason != "EVIDENCE_UNSIGNED")
    await keep.keep(backend, again, None)
    assert again.evidence == evaluation.evidence
