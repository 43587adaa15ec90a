"""Stores the evidence of an evaluation."""

import asyncio
import json
from typing import Final

from defuse.v1 import models_pb2
from defuse.v1.promotion_service_pb2 import Evaluation, Evidence

from defuse_server.backend import Backend
from defuse_server.evidence.junit import junit_xml
from defuse_server.evidence.materials import Materials, gather
from defuse_server.evidence.report.html import html_report
from defuse_server.evidence.report.markdown import markdown_report
from defuse_server.evidence.signing_key import Signer
from defuse_server.evidence.statement import envelope
from defuse_server.evidence.verdict_file import verdict_json

UNSIGNED: Final = models_pb2.Warning(
    reason="EVIDENCE_UNSIGNED",
    message="the evidence has no signature, as the worker has no key: give it one in DEFUSE_SIGNING_KEY",
)


async def keep(backend: Backend, evaluation: Evaluation, signer: "Signer | None") -> None:
    """Store all five files of an evaluation that has a verdict, and name them in its `evidence`.

    The same evaluation gives the same bytes again, except for signatures with random numbers (ECDSA, RSA).
    """
    if signer is None:
        evaluation.warnings.append(UNSIGNED)
    materials = await gather(backend, evaluation)
    # On a thread: the loop sends the job's heartbeats meanwhile.
    files = await asyncio.to_thread(_files, materials, signer)
    names = {field: (await backend.store.put_bytes(content)).name for field, content in files.items()}
    evaluation.evidence.CopyFrom(Evidence(**names))


def _files(materials: Materials, signer: "Signer | None") -> dict[str, bytes]:
    """Return the contents by the fields of Evidence."""
    verdict = verdict_json(materials)
    document = json.loads(verdict)
    return {
        "verdict": verdict,
        **({"envelope": envelope(verdict, signer)} if signer else {}),
        "junit": junit_xml(document),
        "markdown": markdown_report(materials),
        "html": html_report(materials, document, signer.public_key.keyid if signer else ""),
    }
