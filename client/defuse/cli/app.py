"""All commands, and the options that come before a command."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from defuse.cli import (
    audit,
    correct,
    download,
    found,
    gate,
    jobs,
    label,
    label_report,
    model_registry_gate,
    push,
    status,
    vae,
    verify_evidence,
)
from defuse.cli.output import stdout
from defuse.client import Client

app = typer.Typer(
    name="defuse",
    help="Find what an image classifier gets wrong, and fix it.",
    no_args_is_help=True,
    epilog=(
        "The environment variable DEFUSE_TOKEN holds your token. Exit codes: 0 done or PASS, 1 FAIL, "
        "2 INCONCLUSIVE, 64 wrong usage, 65 a file whose content can't be used, 66 no such name, 69 no "
        "server, 70 any other error, 130 interrupted by Ctrl-C."
    ),
)
app.add_typer(push.app, name="push")
app.add_typer(audit.app, name="audit")
app.add_typer(vae.app, name="vae")
app.add_typer(label.app, name="label")
app.add_typer(model_registry_gate.mlflow, name="mlflow")
app.add_typer(model_registry_gate.folder, name="folder")
app.command("status")(status.status)
app.command("list")(found.list_all)
app.command("show")(found.show)
app.command("delete")(found.delete)
app.command("watch")(jobs.watch)
app.command("cancel")(jobs.cancel)
app.command("label-report")(label_report.label_report)
app.command("correct")(correct.correct)
app.command("gate")(gate.gate)
app.command("verify-evidence")(verify_evidence.verify_evidence)
app.command("download")(download.download)


def _show_version(wanted: bool) -> None:
    if wanted:
        stdout.print(f"defuse {version('defuse-audit')}", highlight=False)
        raise typer.Exit


@app.callback()
def server_options(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit."),
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(help="The server's host:port. By default DEFUSE_ADDRESS, or else 127.0.0.1:50151."),
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(help="Use TLS and trust the CAs in this PEM file. By default DEFUSE_TLS_CA."),
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS and trust gRPC's own CAs.")] = False,
    timeout_s: Annotated[
        float, typer.Option(min=0.001, help="Seconds to keep trying when the server does not answer.")
    ] = 30.0,
) -> None:
    """Keep the options that describe the server; what is None is taken from the environment."""
    context.obj = partial(Client, address, tls_ca=tls_ca, tls=tls, timeout_s=timeout_s)
