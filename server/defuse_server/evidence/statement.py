"""The verdict as an in-toto statement about the candidate's bytes, signed in a DSSE envelope.

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md,
https://github.com/secure-systems-lab/dsse/blob/master/envelope.md
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from defuse_server.evidence.canonical import canonical
from defuse_server.evidence.signing_key import Signer

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


def envelope(verdict: bytes, signer: "Signer") -> bytes:
    """Return the signed envelope of the statement about a `verdict_file.verdict_json`, as JSON."""
    from securesystemslib.dsse import Envelope

    signed = Envelope(canonical(statement(json.loads(verdict))), PAYLOAD_TYPE, {})
    signed.sign(signer)
    return canonical(signed.to_dict())


def statement(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statement. Only PASS is PASSED, so that nobody promotes INCONCLUSIVE by `result` alone."""
    candidate, checks = verdict["candidate"], verdict["checks"]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": candidate["name"], "digest": {"sha256": candidate["sha256"]}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "PASSED" if verdict["verdict"] == "PASS" else "FAILED",
            "configuration": _configuration(verdict),
            "passedTests": [qualified_name(check) for check in checks if check["verdict"] == "PASS"],
            "warnedTests": [
                qualified_name(check) for check in checks if check["verdict"] not in ("PASS", "FAIL")
            ],
            "failedTests": [qualified_name(check) for check in checks if check["verdict"] == "FAIL"],
            "defuse_verdict": verdict,
        },
    }


def qualified_name(check: Mapping[str, Any]) -> str:
    """Return the check and its subject, such as `region_accuracy[audits/.../regions/3]`."""
    return f"{check['check']}[{check['subject']}]" if check["subject"] else check["check"]


def _configuration(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return descriptors of everything that the test ran with and whose digest is known."""
    vae, audit = verdict["vae"], verdict["audit"]
    digests = (
        ("policy", "", verdict["policy"]["sha256"]),
        ("baseline", verdict["baseline"]["name"], verdict["baseline"]["sha256"]),
        ("dataset", verdict["dataset"]["name"], verdict["dataset"]["sha256"]),
        ("vae/encoder", vae["name"], vae["encoder_sha256"]),
        ("vae/decoder", vae["name"], vae["decoder_sha256"]),
        ("audit/regions", audit["name"], audit["regions_sha256"]),
        ("labels", "", verdict["labels"]["label_set_digest"]),
    )
    return [
        {
            "name": role,
            "digest": {"sha256": sha256},
            **({"annotations": {"resource": resource}} if resource else {}),
        }
        for role, resource, sha256 in digests
        if sha256
    ]
