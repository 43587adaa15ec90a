"""`defuse correct`."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from defuse.cli import jobs
from defuse.cli.connection import connect
from defuse.cli.figures import change, share
from defuse.cli.output import Json, stderr, stdout, write, write_facts, write_table
from defuse.cli.progress import state_of
from defuse.cli.settings import takes_settings
from defuse.messages import Bug, Correction, CorrectionConfig, CorrectionPoint, RegionState


class ProposalUse(StrEnum):
    """When proposals are used as labels."""

    WHEN_VERIFIED = "when-verified"
    OFF = "off"


_OPEN = (RegionState.REGION_STATE_UNLABELED, RegionState.REGION_STATE_LEASED)


@takes_settings(CorrectionConfig)
def correct(
    context: typer.Context,
    audit: Annotated[str, typer.Argument(metavar="AUDIT", help="audits/ID, with labeled regions.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")] = True,
    name: Annotated[str, typer.Option(help="The correction's name in lists. By default empty.")] = "",
    proposals: Annotated[
        ProposalUse,
        typer.Option(
            help="Whether bugs that nobody has answered take the label that the search proposes: once "
            "people's answers to a sample verify its proposals, or never."
        ),
    ] = ProposalUse.WHEN_VERIFIED,
    json: Json = False,
    **settings: Any,
) -> None:
    """Fine-tune an audit's classifier on its labeled bugs, and register the result as a new classifier."""
    with connect(context) as client:
        proposed = 0
        if proposals is not ProposalUse.OFF:
            proposed = client.get_labeling_report(audit).outlook.proposal_count
        _say_unsettled(list(client.list_bugs(audit)), proposed)
        correction = client.correct(
            audit, display_name=name, proposals=proposals.value, wait=False, **settings
        )
        if wait:
            correction = jobs.waited(client, correction)
    write(correction, json, _write_text)


def _say_unsettled(bugs: Sequence[Bug], proposed: int) -> None:
    """Say which bugs the correction leaves out because nobody has settled them.

    `proposed` bugs without an answer take their verified proposals.
    """
    last = [bug for bug in bugs if not bug.parts]
    unlabeled = sum(bug.state in _OPEN for bug in last) - proposed
    splitting = sum(bug.state == RegionState.REGION_STATE_MIXED and not bug.unsplit_reason for bug in last)
    if unlabeled or splitting:
        stderr.print(
            f"Of {len(last)} bugs, {unlabeled} have no label yet and {splitting} wait to be split: the "
            "correction leaves them out, and stands on the labels as they are now."
        )


def _write_text(correction: Correction) -> None:
    write_facts(
        ("name", correction.name),
        ("state", state_of(correction)),
        ("labeled regions", _labels(correction)),
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


def _labels(correction: Correction) -> str:
    if not correction.proposal_region_count:
        return f"{correction.labeled_region_count}"
    return (
        f"{correction.labeled_region_count}, {correction.proposal_region_count} of them by proposals that "
        "people's answers to a sample verify"
    )


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
