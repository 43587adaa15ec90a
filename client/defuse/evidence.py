"""Checks the evidence of an evaluation without the service. Needs the extra `gate`.

from defuse.evidence import verify

verified = verify(envelope, public_key_pem, model_sha256="...")
if verified.verdict == "PASS":
...
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from defuse.errors import DefuseError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
SCHEMA, SCHEMA_VERSION = "defuse.verdict", 1
VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE")


class EvidenceInvalid(DefuseError):
    """The evidence does not verify; the message says what was expected and what came."""


class ExtraMissing(DefuseError):
    """A package that verifies signatures is not installed."""


@dataclass(frozen=True)
class Verified:
    """The statement that the operator's key has signed."""

    verdict: str
    """`PASS`, `FAIL` or `INCONCLUSIVE`."""
    candidate_sha256: str
    key_id: str
    document: dict[str, Any]
    """The verdict with its checks, policy and digests; see docs/evidence.md."""


def verify(
    envelope: bytes, public_key_pem: bytes, *, model_sha256: str = "", policy_sha256: str = ""
) -> Verified:
    """Check the signature, then the signed statement, and that it has the given digests.

    Raises `EvidenceInvalid`, or `ExtraMissing` if securesystemslib is not installed.
    """
    payload, key_id = _signed_payload(_object(envelope, "the envelope"), public_key_pem)
    statement = _object(payload, "the signed statement")
    _expect("the statement's _type", STATEMENT_TYPE, statement.get("_type"))
    _expect("predicateType", PREDICATE_TYPE, statement.get("predicateType"))
    subject_sha256 = _subject(statement)
    if model_sha256:
        _expect("the SHA-256 of the model", subject_sha256, model_sha256)
    document = _at(statement, "predicate", "defuse_verdict")
    if not isinstance(document, dict):
        raise EvidenceInvalid(
            "expected the verdict in predicate.defuse_verdict, got none: this is not a statement of Defuse"
        )
    document = cast("dict[str, Any]", document)
    verdict = _verdict(statement["predicate"], document, subject_sha256)
    if policy_sha256:
        _expect("the policy's SHA-256", policy_sha256, _at(document, "policy", "sha256"))
    return Verified(verdict, subject_sha256, key_id, document)


def _signed_payload(envelope: dict[str, Any], public_key_pem: bytes) -> tuple[bytes, str]:
    """Return the payload, which the key has signed, and the key's id."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
        from securesystemslib.dsse import Envelope
        from securesystemslib.exceptions import VerificationError
        from securesystemslib.signer import Signature, SSlibKey  # pyright: ignore[reportPrivateImportUsage]
    except ImportError as missing:
        raise ExtraMissing(
            f"expected the package {missing.name}, which is not installed: pip install 'defuse-audit[gate]'"
        ) from missing
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(public_key_pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EvidenceInvalid(
            f"expected a public key in PEM (Ed25519, ECDSA or RSA), got another file: {error}"
        ) from error
    _expect("payloadType", PAYLOAD_TYPE, envelope.get("payloadType"))
    payload = _decoded(envelope.get("payload"), "payload")
    signatures = _signatures(envelope.get("signatures"))
    ours = {sig["keyid"]: Signature(sig["keyid"], _decoded(sig["sig"], "sig").hex()) for sig in signatures}
    if key.keyid not in ours:
        raise EvidenceInvalid(
            f"expected a signature by the key {key.keyid}, got signatures by {', '.join(ours) or 'nobody'}"
        )
    try:
        Envelope(payload, PAYLOAD_TYPE, ours).verify([key], 1)
    except VerificationError as error:
        raise EvidenceInvalid(
            f"expected the signature of the key {key.keyid} over this payload, got another one: payload or "
            "signature was altered"
        ) from error
    return payload, key.keyid


def _signatures(value: object) -> list[dict[str, str]]:
    found = cast("list[Any]", value) if isinstance(value, list) else []
    whole = all(isinstance(_at(one, "keyid"), str) and isinstance(_at(one, "sig"), str) for one in found)
    if not found or not whole or len({one["keyid"] for one in found}) != len(found):
        raise EvidenceInvalid("expected signatures, each with sig and a keyid of its own, got something else")
    return found


def _decoded(value: object, field: str) -> bytes:
    """Return the bytes of a field in base64, which must be written in its one canonical way."""
    try:
        decoded = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded or base64.b64encode(decoded).decode() != value:
        raise EvidenceInvalid(f"expected base64 in {field}, got something else: the envelope was altered")
    return decoded


def _object(content: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object. No key may come twice, because readers differ in which of the two they use."""
    try:
        document = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise EvidenceInvalid(f"expected {what} to be JSON, got something else: {error}") from error
    if not isinstance(document, dict):
        raise EvidenceInvalid(f"expected {what} to be a JSON object, got {type(document).__name__}")
    return cast("dict[str, Any]", document)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _subject(statement: dict[str, Any]) -> str:
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or len(cast("list[Any]", subjects)) != 1:
        raise EvidenceInvalid("expected one subject, the candidate, got none or several")
    sha256 = _at(cast("list[Any]", subjects)[0], "digest", "sha256")
    if not isinstance(sha256, str):
        raise EvidenceInvalid("expected the subject's SHA-256, got none")
    return sha256


def _verdict(predicate: dict[str, Any], document: dict[str, Any], subject_sha256: str) -> str:
    """Return the verdict. What the statement says in two places must be the same."""
    _expect("the verdict's schema", SCHEMA, _at(document, "schema", "name"))
    _expect("the schema's version", SCHEMA_VERSION, _at(document, "schema", "version"))
    _expect("the SHA-256 of the verdict's candidate", subject_sha256, _at(document, "candidate", "sha256"))
    verdict = document.get("verdict")
    if verdict not in VERDICTS:
        raise EvidenceInvalid(f"expected one of {', '.join(VERDICTS)}, got {verdict!r}")
    _expect("result", "PASSED" if verdict == "PASS" else "FAILED", predicate.get("result"))
    return cast("str", verdict)


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    return value


def _expect(what: str, expected: object, came: object) -> None:
    if came != expected:
        raise EvidenceInvalid(f"{what}: expected {expected}, got {came}")
