"""Evidence is checked offline; whatever was altered in it, or in the model, does not verify."""

import base64
import builtins
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from defuse.evidence import EvidenceInvalid, verify
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

MODEL = b"the judged model"
SHA256 = hashlib.sha256(MODEL).hexdigest()
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def statement(verdict="PASS"):
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "classifiers/c", "digest": {"sha256": SHA256}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "PASSED" if verdict == "PASS" else "FAILED",
            "configuration": [],
            "defuse_verdict": {
                "schema": {"name": "defuse.verdict", "version": 1},
                "verdict": verdict,
                "evaluation": {"name": "evaluations/e"},
                "candidate": {"name": "classifiers/c", "sha256": SHA256},
                "baseline": {"name": "classifiers/b", "sha256": "b" * 64},
                "policy": {"sha256": "a" * 64},
                "checks": [{"check": "clean_accuracy", "subject": "", "verdict": verdict}],
            },
        },
    }


def signed(signer, told, payload_type=PAYLOAD_TYPE):
    envelope = Envelope(json.dumps(told).encode(), payload_type, {})
    envelope.sign(signer)
    return envelope.to_dict()


def public_pem(signer):
    key = load_pem_private_key(signer.private_bytes, None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def signer():
    return CryptoSigner.generate_ed25519()


@pytest.fixture
def check(tmp_path, command, signer):
    """Run the command on an envelope, the operator's key and the judged model."""
    (tmp_path / "key.pub").write_bytes(public_pem(signer))
    (tmp_path / "model.onnx").write_bytes(MODEL)

    def run(envelope, *arguments, model=tmp_path / "model.onnx"):
        (tmp_path / "evidence.json").write_text(json.dumps(envelope))
        files = (str(tmp_path / "evidence.json"), "--key", str(tmp_path / "key.pub"), "--model", str(model))
        return command("--address", "127.0.0.1:1", "verify-evidence", *files, *arguments)

    return run


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 1), ("INCONCLUSIVE", 2)])
def test_evidence_that_verifies_is_0_and_with_require_pass_its_verdict(check, signer, verdict, code):
    envelope = signed(signer, statement(verdict))
    assert check(envelope).code == 0
    assert check(envelope, "--require-pass").code == code


def test_evidence_that_verifies_is_shown(check, signer):
    ran = check(signed(signer, statement("FAIL")), "--policy-sha256", "a" * 64)
    assert "FAIL" in ran.out
    assert SHA256 in ran.out


def test_json_is_the_verdicts_document(check, signer):
    (document,) = check(signed(signer, statement("FAIL")), "--json").json
    assert document["verdict"] == "FAIL"


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_other_kinds_of_key_verify_too(kind):
    signer = getattr(CryptoSigner, f"generate_{kind}")()
    envelope = json.dumps(signed(signer, statement())).encode()
    assert verify(envelope, public_pem(signer), model_sha256=SHA256).verdict == "PASS"


def test_each_altered_byte_of_the_payload_fails(signer):
    envelope, key = signed(signer, statement()), public_pem(signer)
    payload = base64.b64decode(envelope["payload"])
    for place in range(len(payload)):
        altered = bytearray(payload)
        altered[place] ^= 1
        with pytest.raises(EvidenceInvalid, match="altered"):
            verify(json.dumps({**envelope, "payload": base64.b64encode(altered).decode()}).encode(), key)


@pytest.mark.parametrize("field", ["payload", "sig"])
def test_each_altered_character_of_the_file_fails(signer, field):
    envelope, key = signed(signer, statement()), public_pem(signer)
    content = envelope["payload"] if field == "payload" else envelope["signatures"][0]["sig"]
    for place, character in enumerate(content):
        altered = content[:place] + ("A" if character != "A" else "B") + content[place + 1 :]
        (signature,) = envelope["signatures"]
        told = {
            "payload": {**envelope, "payload": altered},
            "sig": {**envelope, "signatures": [{**signature, "sig": altered}]},
        }[field]
        with pytest.raises(EvidenceInvalid):
            verify(json.dumps(told).encode(), key)


def test_each_altered_byte_of_the_model_fails(signer):
    envelope, key = json.dumps(signed(signer, statement())).encode(), public_pem(signer)
    for place in range(len(MODEL)):
        altered = bytearray(MODEL)
        altered[place] ^= 1
        with pytest.raises(EvidenceInvalid, match="SHA-256 of the model"):
            verify(envelope, key, model_sha256=hashlib.sha256(altered).hexdigest())


def test_another_model_is_70_with_both_digests(check, signer, tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"another model")
    ran = check(signed(signer, statement()), model=tmp_path / "other.onnx")
    assert ran.code == 65
    assert f"expected {SHA256}, got {hashlib.sha256(b'another model').hexdigest()}" in ran.err
    assert ran.out == ""


def test_another_key_is_70(check):
    ran = check(signed(CryptoSigner.generate_ed25519(), statement()))
    assert ran.code == 65
    assert "expected a signature by the key" in ran.err


def changed(path, value):
    told = statement()
    place = told
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return told


@pytest.mark.parametrize(
    ("told", "named"),
    [
        (changed(["_type"], "https://in-toto.io/Statement/v0.1"), "_type"),
        (changed(["predicateType"], "https://slsa.dev/provenance/v1"), "predicateType"),
        (changed(["subject"], []), "one subject"),
        (changed(["subject"], [{"name": "classifiers/c"}]), "SHA-256"),
        (changed(["predicate"], {}), "predicate.defuse_verdict"),
        (changed(["predicate", "result"], "FAILED"), "result"),
        (changed(["predicate", "defuse_verdict", "verdict"], "FAIL"), "result"),
        (changed(["predicate", "defuse_verdict", "verdict"], "MAYBE"), "expected one of"),
        (changed(["predicate", "defuse_verdict", "candidate"], {"sha256": "0" * 64}), "candidate"),
        (changed(["predicate", "defuse_verdict", "schema", "version"], 2), "version"),
        ([], "JSON object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_signed_but_no_verdict_of_defuse_is_70(check, signer, told, named):
    ran = check(signed(signer, told))
    assert ran.code == 65
    assert named in ran.err
    assert "expected" in ran.err


def test_another_payload_type_is_70(check, signer):
    ran = check(signed(signer, statement(), "application/json"))
    assert ran.code == 65
    assert "payloadType: expected application/vnd.in-toto+json" in ran.err


def test_another_policy_is_70(check, signer):
    ran = check(signed(signer, statement()), "--policy-sha256", "c" * 64)
    assert ran.code == 65
    assert "policy" in ran.err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"payloadType": "application/vnd.in-toto+json"}',
        b"\xff\xfe",
        b"[" * 9000,
    ],
)
def test_what_is_no_envelope_is_told_so(signer, content):
    with pytest.raises(EvidenceInvalid, match="expected"):
        verify(content, public_pem(signer))


def test_a_key_that_comes_twice_is_refused(signer):
    envelope = json.dumps(signed(signer, statement()))
    twice = envelope.replace('{"payload"', '{"payload": "e30=", "payload"', 1).encode()
    with pytest.raises(EvidenceInvalid, match="twice"):
        verify(twice, public_pem(signer))


def test_a_private_key_in_place_of_the_public_one_is_told_so(signer):
    envelope = json.dumps(signed(signer, statement())).encode()
    with pytest.raises(EvidenceInvalid, match="public key in PEM"):
        verify(envelope, signer.private_bytes)


def test_without_the_extra_it_is_named(check, signer, monkeypatch):
    really = builtins.__import__

    def without(name, *rest):
        if name.startswith("securesystemslib"):
            raise ModuleNotFoundError(name=name)
        return really(name, *rest)

    envelope = signed(signer, statement())
    monkeypatch.setattr(builtins, "__import__", without)
    ran = check(envelope)
    assert ran.code == 70
    assert "pip install 'defuse-audit[gate]'" in ran.err


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_without_defuse_the_documented_commands_verify_it(signer, tmp_path):
    guide = (Path(__file__).parents[3] / "docs" / "evidence.md").read_text()
    (commands,) = re.findall(r"```sh\n(.*?)```", guide, re.S)
    envelope = signed(signer, statement())
    (tmp_path / "evidence.json").write_text(json.dumps(envelope))
    (tmp_path / "key.pem.pub").write_bytes(public_pem(signer))

    def run():
        return subprocess.run(["sh", "-e", "-c", commands], cwd=tmp_path, capture_output=True, text=True)

    ran = run()
    assert ran.returncode == 0, ran.stderr
    assert f"{SHA256} PASSED" in ran.stdout
    assert "Verified Successfully" in ran.stdout
    payload = base64.b64decode(envelope["payload"]).replace(b"clean", b"Clean")
    envelope["payload"] = base64.b64encode(payload).decode()
    (tmp_path / "evidence.json").write_text(json.dumps(envelope))
    assert run().returncode != 0
