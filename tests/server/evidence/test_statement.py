"""The verdict's JSON, and the signed statement of it."""

import base64
import hashlib
import json

import pytest
from defuse.v1.audit_service_pb2 import Audit
from defuse_server.evidence import statement, verdict_file
from defuse_server.evidence.canonical import canonical, fields
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

DIGESTS = "baseline candidate dataset encoder decoder audit labels policy"


@pytest.fixture
def document(materials):
    """The JSON of a verdict, read."""
    return json.loads(verdict_file.verdict_json(materials("PASS")))


def test_the_same_verdict_is_the_same_canonical_json(materials, document):
    content = verdict_file.verdict_json(materials("PASS"))
    assert content == canonical(document)
    assert content == verdict_file.verdict_json(materials("PASS"))


def test_the_document_names_its_schema_and_the_verdict(document):
    assert document["schema"] == {"name": "defuse.verdict", "version": 1}
    assert document["verdict"] == "PASS"


def test_the_document_has_every_digest(document, sha):
    assert set(sha.values()) <= set(digests_in(document))


def test_the_policy_stands_there_with_its_digest_and_what_is_off_is_null(document):
    policy = document["policy"]
    assert hashlib.sha256(canonical(policy["content"])).hexdigest() == policy["sha256"]
    assert policy["content"]["checks"]["annotator_agreement"] is None


def test_the_document_says_when_and_by_which_code(document):
    assert document["evaluation"]["code_version"] == "0.1.0+3f9a1c2b7d44"
    assert document["evaluation"]["create_time"] == "2025-10-09T08:53:20Z"


def test_the_document_has_the_figures(document):
    assert document["figures"]["second_search"]["seed_candidates_before"] == [500, 500]
    assert document["figures"]["labeling"]["alpha"] == 0.8


def test_every_check_stands_there_whole(document):
    (check, *_) = document["checks"]
    assert (check["verdict"], check["interval"]["samples"]) == ("PASS", 500)
    assert {"value", "bound", "at_least", "subject", "explanation", "remedy"} <= set(check)


def digests_in(document):
    if isinstance(document, dict):
        for value in document.values():
            yield from digests_in(value)
    elif isinstance(document, str):
        yield document


def test_what_json_can_not_say_is_null_and_integers_are_numbers():
    audit = Audit(candidate_count=2**53, state=3)
    audit.preflight.readability = float("nan")
    told = fields(audit)
    assert told["preflight"]["readability"] is None
    assert told["candidate_count"] == 2**53
    assert told["state"] == "SUCCEEDED"
    assert "failure" not in told
    canonical(told)


@pytest.mark.parametrize(
    ("said", "result", "lists"),
    [
        ("PASS", "PASSED", {"passedTests": 3, "warnedTests": 0, "failedTests": 0}),
        ("FAIL", "FAILED", {"passedTests": 2, "warnedTests": 0, "failedTests": 1}),
        ("INCONCLUSIVE", "FAILED", {"passedTests": 2, "warnedTests": 1, "failedTests": 0}),
    ],
)
def test_the_statement_is_a_test_result_about_the_candidates_bytes(materials, sha, said, result, lists):
    document = json.loads(verdict_file.verdict_json(materials(said)))
    told = statement.statement(document)
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert told["subject"] == [
        {"name": "classifiers/01k0000000000000ca", "digest": {"sha256": sha["b"]}},
    ]
    predicate = told["predicate"]
    assert predicate["result"] == result
    assert {name: len(predicate[name]) for name in lists} == lists
    assert predicate["defuse_verdict"] == document
    configured = {entry["name"]: entry["digest"]["sha256"] for entry in predicate["configuration"]}
    assert configured == {
        "policy": sha["h"],
        "baseline": sha["a"],
        "dataset": sha["c"],
        "vae/encoder": sha["d"],
        "vae/decoder": sha["e"],
        "audit/regions": sha["g"],
        "labels": sha["f"],
    }


def test_a_check_of_a_region_bears_its_name(materials):
    told = statement.statement(json.loads(verdict_file.verdict_json(materials("FAIL"))))
    assert told["predicate"]["failedTests"] == ["region_accuracy[audits/01k0000000000000aa/regions/0]"]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_envelope_is_dsse_that_the_key_verifies(materials, kind):
    signer = getattr(CryptoSigner, f"generate_{kind}")()
    content = verdict_file.verdict_json(materials("PASS"))
    signed = json.loads(statement.envelope(content, signer))
    assert signed["payloadType"] == "application/vnd.in-toto+json"
    payload = base64.b64decode(signed["payload"])
    assert json.loads(payload)["predicate"]["defuse_verdict"] == json.loads(content)
    Envelope.from_dict(signed).verify([signer.public_key], 1)


def test_an_ed25519_envelope_has_the_same_bytes_each_time(materials):
    signer = CryptoSigner.generate_ed25519()
    made = {statement.envelope(verdict_file.verdict_json(materials("PASS")), signer) for _ in range(3)}
    assert len({hashlib.sha256(one).hexdigest() for one in made}) == 1
