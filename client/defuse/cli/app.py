"""All commands, and the options before them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from defuse.cli import (
    audit,
    correct,
    gate,
    jobs,
    label,
    label_report,
    push,
    registry_gate,
    transfer,
    vae,
    verify_evidence,
)
from defuse.cli.session import Server

app = typer.Typer(
    name="defuse",
    help="Find what an image classifier gets wrong, and fix it.",
    no_args_is_help=True,
    add_completion=False,
    epilog=(
        "A token is taken from DEFUSE_TOKEN. "
        "Exit codes: 0 done or PASS, 1 FAIL, 2 INCONCLUSIVE, 64 usage, 69 no server, 70 anything else."
    ),
)
app.add_typer(push.app, name="push")
app.add_typer(audit.app, name="audit")
app.add_typer(vae.app, name="vae")
app.add_typer(label.app, name="label")
app.add_typer(registry_gate.mlflow, name="mlflow")
app.add_typer(registry_gate.folder, name="folder")
app.command("watch")(jobs.watch)
app.command("cancel")(jobs.cancel)
app.command("label-report")(label_report.label_report)
app.command("correct")(correct.correct)
app.command("gate")(gate.gate)
app.command("verify-evidence")(verify_evidence.verify_evidence)
app.command("download")(transfer.download)


@app.callback()
def server_options(
    context: typer.Context,
    address: Annotated[
        str | None, typer.Option(help="host:port of the server; default DEFUSE_ADDRESS or 127.0.0.1:50151.")
    ] = None,
    tls_ca: Annotated[
        Path | None, typer.Option(help="PEM file with the server's CA; default DEFUSE_TLS_CA.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS with the CAs that gRPC brings.")] = False,
    timeout_s: Annotated[
        float, typer.Option(min=0.001, help="How long to try to reach the server, in seconds.")
    ] = 30.0,
) -> None:
    """Keep the options that say where the server is."""
    context.obj = Server(address, tls_ca, tls, timeout_s)
