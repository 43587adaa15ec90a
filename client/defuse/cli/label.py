"""`defuse label`: label regions in the terminal, or with other tools."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from defuse.cli import label_files
from defuse.cli.connection import connect
from defuse.cli.jobs import AuditName
from defuse.cli.label_report import labeled
from defuse.cli.label_session import LabelSession
from defuse.cli.leases import HeldLeases
from defuse.cli.output import Json, stdout


class _AnnotateByDefault(TyperGroup):
    """Takes `defuse label AUDIT` for `defuse label annotate AUDIT`, which people type most."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `annotate` before arguments that do not begin with a command."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["annotate", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_AnnotateByDefault,
    help="Label an audit's regions. `defuse label AUDIT` is short for `defuse label annotate AUDIT`.",
)
app.command("export")(label_files.export)
app.command("import")(label_files.import_)


@app.command()
def annotate(
    context: typer.Context,
    audit: AuditName,
    annotator: Annotated[
        str, typer.Option(help="The name that your answers get. By default your token's, or your user name.")
    ] = "",
    lease_s: Annotated[
        float,
        typer.Option(min=3, max=3600, help="Seconds that a region stays yours if this command is cut off."),
    ] = 300.0,
    sheets: Annotated[
        Path | None,
        typer.Option(help="Folder for the pictures. By default a temporary one, removed at the end."),
    ] = None,
    json: Json = False,
) -> None:
    """Label an audit's bugs in the terminal. One answer labels a whole kind of mistake."""
    with tempfile.TemporaryDirectory(prefix="defuse-") as scratch, connect(context) as client:
        folder = sheets or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        with HeldLeases(client, lease_s) as leases:
            session = LabelSession(client, leases, audit, annotator, lease_s, folder, json)
            session.run()
        progress = client.get_labeling_progress(audit)
    if not json:
        stdout.print(f"{len(session.answered)} answered. {labeled(progress)}.")
    if session.is_interrupted:
        raise typer.Exit(130)
