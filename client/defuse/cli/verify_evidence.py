"""`defuse verify-evidence`: check who signed a verdict and which model it is about. Needs no service."""

from pathlib import Path
from typing import Annotated

import typer

from defuse._enum_name import enum_name
from defuse.cli.output import Json, write_facts, write_json
from defuse.cli.verdict_table import EXIT_CODES
from defuse.evidence import Verified, verify
from defuse.messages import Verdict
from defuse.model_registries.registry import OnnxFile

_CODES = {enum_name(Verdict, verdict): code for verdict, code in EXIT_CODES.items()}


def verify_evidence(
    evidence: Annotated[
        Path,
        typer.Argument(
            metavar="EVIDENCE", exists=True, dir_okay=False, help="The signed evidence, a JSON file."
        ),
    ],
    key: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="The operator's public key, a PEM file."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Check that the evidence is about this ONNX file. By default the model is not checked.",
        ),
    ] = None,
    policy_sha256: Annotated[
        str,
        typer.Option(
            help="Check that the policy has this SHA-256 (hexadecimal). By default the policy is not checked."
        ),
    ] = "",
    require_pass: Annotated[
        bool, typer.Option("--require-pass", help="Exit with 1 on FAIL and 2 on INCONCLUSIVE.")
    ] = False,
    json: Json = False,
) -> int:
    """Check an evaluation's evidence without the service.

    Exits with 0 if signature, types and digests are right, whatever the verdict, and with 65 if they are not.
    Use --require-pass to exit by the verdict.
    """
    verified = verify(
        evidence.read_bytes(),
        key.read_bytes(),
        model_sha256=OnnxFile.of(model).sha256 if model else "",
        policy_sha256=policy_sha256.lower(),
    )
    if json:
        write_json(verified.document)
    else:
        _write(verified, model)
    return _CODES[verified.verdict] if require_pass else 0


def _write(verified: Verified, model: Path | None) -> None:
    document = verified.document
    same = f", the same as {model}" if model else ""
    checks = [(check["verdict"], check["check"], check["subject"]) for check in document.get("checks", [])]
    against = [" ".join(filter(None, check)) for check in checks if check[0] != "PASS"]
    write_facts(
        ("verified", f"signed by the key {verified.key_id}"),
        ("verdict", verified.verdict),
        ("candidate", f"sha256 {verified.candidate_sha256}{same}"),
        ("baseline", f"sha256 {document['baseline']['sha256']}"),
        ("policy", f"sha256 {document['policy']['sha256']}"),
        ("evaluation", document["evaluation"]["name"]),
        ("checks", len(checks)),
        *[("", line) for line in against],
    )
