"""`defuse correct`."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from defuse.cli import jobs
from defuse.cli.connection import connect
from defuse.cli.figures import change, share
from defuse.cli.output import Json, stderr, stdout, write, write_facts, write_table
from defuse.cli.progress import state_of
from defuse.cli.settings import takes_settings
from defuse.frozen_labels import label_set, unsettled
from defuse.messages import Correction, CorrectionConfig, CorrectionPoint


class ProposalUse(StrEnum):
    """When proposals are used as labels."""

    WHEN_VERIFIED = "when-verified"
    OFF = "off"


@takes_settings(CorrectionConfig)
def correct(
    context: typer.Context,
    audit: Annotated[str, typer.Argument(metavar="AUDIT", help="audits/ID, with labeled regions.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")] = True,
    name: Annotated[str, typer.Option(help="The correction's name in lists. By default empty.")] = "",
    proposals: Annotated[
        ProposalUse,
        typer.Option(
            case_sensitive=False,
            help="Whether bugs that nobody has answered take the label that the search proposes: once "
            "people's answers to a sample verify its proposals, or never.",
        ),
    ] = ProposalUse.WHEN_VERIFIED,
    json: Json = False,
    **settings: Any,
) -> None:
    """Fine-tune an audit's classifier on its labeled bugs, and register the result as a new classifier."""
    with connect(context) as client:
        correction = client.correct(
            audit, display_name=name, proposals=proposals.value, wait=False, **settings
        )
        if wait:
            jobs.write_started(correction)
            # Before the long wait: who would rather settle these first can stop it now.
            if left_out := unsettled(correction.labeling):
                stderr.print(f"The correction leaves out what is not settled: {left_out}.")
            if correction.labeling.splitting_count:
                stderr.print(
                    "A mixed bug is split into parts, which annotators then answer. Only a correction that "
                    "you start after that repairs them."
                )
            correction = jobs.waited(client, correction)
    write(correction, json, write_correction)


def write_correction(correction: Correction) -> None:
    """Write what a correction stands on, what it tried and what it made."""
    write_facts(
        ("name", correction.name),
        ("display name", correction.display_name),
        ("state", state_of(correction)),
        ("failure", correction.failure.message),
        ("audit", correction.audit),
        ("labels", label_set(correction.labeled_region_count, correction.label_set_digest)),
        ("labels by proposals", correction.proposal_region_count or None),
        ("not in the labels", unsettled(correction.labeling)),
        ("confirmed bugs", correction.confirmed_region_count),
        ("corrected classifier", correction.corrected_classifier),
        *[("warning", f"{warning.reason}: {warning.message}") for warning in correction.warnings],
    )
    if correction.curve:
        stdout.print()
        points = [_row("before", correction.baseline)]
        if correction.HasField("control"):
            points.append(_row("control", correction.control))
        points += [_row("chosen" if point.chosen else "", point) for point in correction.curve]
        write_table(points)


def _row(mark: str, point: CorrectionPoint) -> dict[str, object]:
    return {
        "": "diverged" if point.diverged else mark,
        "lambda": f"{getattr(point, 'lambda'):g}",
        "learning rate": f"{point.learning_rate:g}",
        "epochs": point.epochs,
        "validation accuracy": share(point.validation_accuracy),
        "worst class change": "" if mark == "before" else change(point.worst_class_change),
        "region accuracy": share(point.region_accuracy),
        "mined": point.mined_count or "",
    }
