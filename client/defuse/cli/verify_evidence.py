"""`defuse verify-evidence`: whether a verdict is the operator's, and about this model. Needs no service."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from defuse.cli.output import Json, write_facts, write_json
from defuse.cli.verdict_table import EXIT_CODES, verdict_name
from defuse.evidence import Verified, verify

_CODES = {verdict_name(verdict): code for verdict, code in EXIT_CODES.items()}


def verify_evidence(
    evidence: Annotated[
        Path,
        typer.Argument(
            metavar="EVIDENCE", exists=True, dir_okay=False, readable=True, help="The signed envelope (JSON)."
        ),
    ],
    key: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, readable=True, help="The operator's public key, PEM.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            readable=True,
            help="The candidate's file: it must be what was judged.",
        ),
    ] = None,
    policy_sha256: Annotated[str, typer.Option(help="The digest of the policy that must have judged.")] = "",
    require_pass: Annotated[
        bool, typer.Option("--require-pass", help="Exit 1 where the verdict is FAIL, 2 where INCONCLUSIVE.")
    ] = False,
    json: Json = False,
) -> int:
    """Check an evaluation's evidence without the service.

    Exits 0 where signature, types and digests are right, whatever the verdict (see --require-pass), and 70
    where anything is not.
    """
    verified = verify(
        evidence.read_bytes(),
        key.read_bytes(),
        model_sha256=_sha256(model) if model else "",
        policy_sha256=policy_sha256.lower(),
    )
    if json:
        write_json(verified.document)
    else:
        _write(verified, model)
    return _CODES[verified.verdict] if require_pass else 0


def _write(verified: Verified, model: Path | None) -> None:
    document = verified.document
    checks = [(check["verdict"], check["check"], check["subject"]) for check in document.get("checks", [])]
    against = [" ".join(filter(None, check)) for check in checks if check[0] != "PASS"]
    write_facts(
        [
            ("verified", f"signed by the key {verified.key_id}"),
            ("verdict", verified.verdict),
            ("candidate", f"sha256 {verified.candidate_sha256}" + (f", as {model} is" if model else "")),
            ("baseline", f"sha256 {document['baseline']['sha256']}"),
            ("policy", f"sha256 {document['policy']['sha256']}"),
            ("evaluation", document["evaluation"]["name"]),
            ("checks", len(checks)),
        ]
        + [("", line) for line in against]
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
