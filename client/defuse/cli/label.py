"""`defuse label`: label regions in the terminal, or with other tools."""

from __future__ import annotations

import getpass
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from defuse.cli import label_files
from defuse.cli.default_command import DEFAULT, DefaultCommandGroup
from defuse.cli.label_files import AuditName
from defuse.cli.label_session import LabelSession
from defuse.cli.leases import HeldLeases
from defuse.cli.output import Json, people
from defuse.cli.session import connect

app = typer.Typer(
    cls=DefaultCommandGroup,
    help=f"Say what an audit's regions show. `defuse label AUDIT` is `defuse label {DEFAULT} AUDIT`.",
)
app.command("export")(label_files.export)
app.command("import")(label_files.import_)


@app.command(DEFAULT)
def annotate(
    context: typer.Context,
    audit: AuditName,
    annotator: Annotated[str, typer.Option(help="Who labels; default: your user name.")] = "",
    lease_s: Annotated[
        float, typer.Option(min=3, max=3600, help="How long a region stays yours without a sign from here.")
    ] = 300.0,
    sheets: Annotated[
        Path | None, typer.Option(help="Folder for the pictures; default: one that is removed at the end.")
    ] = None,
    json: Json = False,
) -> None:
    """Label an audit's regions here, in the terminal: one answer fixes a whole region."""
    with tempfile.TemporaryDirectory(prefix="defuse-") as scratch, connect(context) as client:
        folder = sheets or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        with HeldLeases(client, lease_s) as leases:
            session = LabelSession(
                client, leases, audit, annotator or getpass.getuser(), lease_s, folder, json
            )
            session.run()
        progress = client.get_labeling_progress(audit)
    if not json:
        people.print(
            f"{session.answer_count} answered. Of {progress.region_count} regions {progress.labeled_count} "
            f"have a label, {progress.confirmed_count} of them are bugs."
        )
