"""`defuse correct`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from defuse.cli.output import Json, change, people, share, write_facts, write_json, write_table
from defuse.cli.progress import job_bar, state_of
from defuse.cli.session import connect, left_running
from defuse.cli.settings import takes_settings
from defuse.messages import Correction, CorrectionConfig, CorrectionPoint


@takes_settings(CorrectionConfig)
def correct(
    context: typer.Context,
    audit: Annotated[str, typer.Argument(metavar="AUDIT", help="audits/ID, with labeled regions")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")] = True,
    name: Annotated[str, typer.Option(help="What to call it in lists.")] = "",
    json: Json = False,
    **settings: Any,
) -> None:
    """Fine-tune an audit's classifier on its labeled regions, to a new classifier."""
    with connect(context) as client:
        correction = client.correct(audit, display_name=name, wait=False, **settings)
        if wait:
            with left_running(correction.name), job_bar() as update:
                client.wait(correction, on_update=update)
            correction = client.get_correction(correction)
    if json:
        write_json(correction)
    else:
        _write(correction)


def _write(correction: Correction) -> None:
    write_facts(
        [
            ("name", correction.name),
            ("state", state_of(correction)),
            ("labeled regions", correction.labeled_region_count),
            ("confirmed bugs", correction.confirmed_region_count),
            ("corrected classifier", correction.corrected_classifier),
        ]
        + [("warning", f"{warning.reason}: {warning.message}") for warning in correction.warnings]
    )
    if correction.curve:
        people.print()
        columns = (
            "",
            "lambda",
            "learning rate",
            "epochs",
            "validation accuracy",
            "worst class change",
            "region accuracy",
            "mined",
        )
        points = [_row("before", correction.baseline)]
        if correction.HasField("control"):
            points.append(_row("control", correction.control))
        points += [_row("chosen" if point.chosen else "", point) for point in correction.curve]
        write_table(columns, points, "")


def _row(mark: str, point: CorrectionPoint) -> tuple[object, ...]:
    return (
        "diverged" if point.diverged else mark,
        f"{getattr(point, 'lambda'):g}",
        f"{point.learning_rate:g}",
        point.epochs,
        share(point.validation_accuracy),
        "" if mark == "before" else change(point.worst_class_change),
        share(point.region_accuracy),
        point.mined_count or "",
    )
