"""`defuse gate` says whether a classifier may be promoted in place of another."""

from __future__ import annotations

from typing import Annotated

import typer

from defuse.cli.output import Json, people, share, write_facts, write_json, write_table
from defuse.cli.progress import job_bar
from defuse.cli.session import connect, left_running
from defuse.messages import Evaluation, Verdict

EXIT_CODES = {Verdict.VERDICT_PASS: 0, Verdict.VERDICT_FAIL: 1, Verdict.VERDICT_INCONCLUSIVE: 2}


def gate(
    context: typer.Context,
    baseline: Annotated[str, typer.Option(help="classifiers/ID: the one that was audited")],
    candidate: Annotated[str, typer.Option(help="classifiers/ID: the one to promote")],
    audit: Annotated[str, typer.Option(help="audits/ID of the baseline")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the verdict.")] = True,
    name: Annotated[str, typer.Option(help="What to call it in lists.")] = "",
    seed: int = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N; default: the server's.")] = "",
    json: Json = False,
) -> int:
    """Judge a candidate. Exits 0 on PASS, 1 on FAIL, 2 on INCONCLUSIVE; with --no-wait 0."""
    with connect(context) as client:
        evaluation = client.evaluate(
            baseline, candidate, audit, seed=seed, device=device, display_name=name, wait=False
        )
        if wait:
            with left_running(evaluation.name), job_bar() as update:
                client.wait(evaluation, on_update=update)
            evaluation = client.get_evaluation(evaluation)
    if json:
        write_json(evaluation)
    else:
        write_evaluation(evaluation)
    # Only PASS promotes: a verdict that this client does not know is no PASS.
    return EXIT_CODES.get(evaluation.verdict, 70) if wait else 0


def write_evaluation(evaluation: Evaluation) -> None:
    """Write the checks and the verdict for people."""
    rows = [
        (
            check.check,
            check.subject,
            _verdict(check.verdict),
            f"{check.value:.4g}",
            f"{check.bound:.4g}",
            check.explanation,
        )
        for check in evaluation.checks
    ]
    if rows:
        write_table(("check", "of", "verdict", "value", "bound", ""), rows, "")
        people.print()
    accuracy = f"{share(evaluation.test_accuracy_before)} to {share(evaluation.test_accuracy_after)}"
    write_facts(
        [
            ("name", evaluation.name),
            ("candidate", evaluation.candidate_sha256 and f"sha256 {evaluation.candidate_sha256}"),
            ("test accuracy", accuracy if rows else ""),
            ("verdict", _verdict(evaluation.verdict) if rows else ""),
        ]
    )


def _verdict(verdict: Verdict) -> str:
    number = int(verdict)
    return Verdict.Name(verdict).removeprefix("VERDICT_") if number in Verdict.values() else str(number)
