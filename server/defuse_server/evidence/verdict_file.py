"""The file of the verdict: one JSON document with the inputs, the policy, the figures and the checks."""

from typing import Any, Final

from defuse.v1.promotion_service_pb2 import Evaluation

from defuse_server.evidence.canonical import canonical, fields
from defuse_server.evidence.materials import Materials
from defuse_server.gate.policy import Policy
from defuse_server.presentation.checks import verdict_word

SCHEMA: Final = "defuse.verdict"
VERSION: Final = 1
"""Raised if readers of the previous version would misread a document. New fields don't raise it."""
_FIGURES: Final = (
    "test_size",
    "test_accuracy_before",
    "test_accuracy_after",
    "classes",
    "regions",
    "second_search",
    "labeling",
)


def verdict_json(materials: Materials) -> bytes:
    """Return the document in canonical JSON: the same evaluation gives the same bytes."""
    return canonical(verdict_document(materials))


def verdict_document(materials: Materials) -> dict[str, Any]:
    """Return the document. docs/evidence.md describes its fields."""
    evaluation, candidate = materials.evaluation, materials.candidate
    told = fields(evaluation)
    return {
        "schema": {"name": SCHEMA, "version": VERSION},
        "verdict": verdict_word(evaluation.verdict),
        "evaluation": {
            "name": evaluation.name,
            "display_name": evaluation.display_name,
            "input_digest": evaluation.input_digest,
            "code_version": evaluation.code_version,
            "config": told.get("config", {}),
            "create_time": _moment(evaluation, "create_time"),
            "start_time": _moment(evaluation, "start_time"),
        },
        "policy": {
            "sha256": evaluation.policy_sha256,
            # The digest is that of its canonical JSON.
            "content": Policy.parse(evaluation.policy).plain(),
        },
        "baseline": {"name": evaluation.baseline, "sha256": evaluation.baseline_sha256},
        "candidate": {
            "name": evaluation.candidate,
            "sha256": evaluation.candidate_sha256,
            "lineage": fields(candidate.lineage) if candidate.HasField("lineage") else None,
        },
        "dataset": {"name": materials.dataset.name, "sha256": evaluation.dataset_sha256},
        "vae": {
            "name": materials.audit.vae,
            "encoder_sha256": evaluation.encoder_sha256,
            "decoder_sha256": evaluation.decoder_sha256,
        },
        "audit": {
            "name": evaluation.audit,
            "made_for_this_evaluation": evaluation.audit_created,
            "regions_sha256": evaluation.regions_artifact.removeprefix("artifacts/"),
        },
        "labels": {"label_set_digest": evaluation.label_set_digest},
        "checks": told["checks"],
        "figures": {name: told[name] for name in _FIGURES if name in told},
        "warnings": told["warnings"],
    }


def _moment(evaluation: Evaluation, field: str) -> str:
    """Return a time in UTC by RFC 3339, or an empty text. The evidence is made before the end time is set."""
    if not evaluation.HasField("times") or not evaluation.times.HasField(field):  # pyright: ignore[reportArgumentType]
        return ""
    return getattr(evaluation.times, field).ToJsonString()
