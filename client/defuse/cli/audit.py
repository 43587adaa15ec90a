"""`defuse audit`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from defuse.cli import jobs
from defuse.cli.audit_text import (
    class_names,
    write_audit,
    write_audits,
    write_bugs,
    write_misclassification,
    write_regions,
)
from defuse.cli.connection import connect, left_running
from defuse.cli.jobs import AuditName
from defuse.cli.outlook_text import outlook_facts
from defuse.cli.output import Json, as_dict, stdout, write, write_json
from defuse.cli.settings import takes_settings
from defuse.client import Client
from defuse.messages import AuditConfig, JobState, LabelingOutlook

app = typer.Typer(help="Search a classifier for what it gets wrong.", no_args_is_help=True)
app.command("watch")(jobs.watch)
app.command("cancel")(jobs.cancel)


@app.command()
@takes_settings(AuditConfig)
def start(
    context: typer.Context,
    classifier: Annotated[str, typer.Option(help="classifiers/ID of the classifier to search.")],
    vae: Annotated[str, typer.Option(help="vaes/ID of the VAE that makes candidates.")],
    dataset: Annotated[str, typer.Option(help="datasets/ID of the reference data.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow the audit until it ends.")] = False,
    name: Annotated[str, typer.Option(help="The audit's name in lists. By default empty.")] = "",
    json: Json = False,
    **settings: Any,
) -> None:
    """Start an audit."""
    with connect(context) as client:
        audit = client.start_audit(classifier, vae, dataset, display_name=name, **settings)
        if watch:
            jobs.write_started(audit)
            jobs.follow(client, audit.name, json)
            if json:
                return
            audit = client.get_audit(audit)
    write(audit, json, write_audit)


@app.command()
def status(context: typer.Context, audit: AuditName, json: Json = False) -> None:
    """Show an audit as it stands, and how far its labels go."""
    with connect(context) as client:
        found = client.get_audit(audit)
        outlook = LabelingOutlook()
        if found.state == JobState.JOB_STATE_SUCCEEDED:
            outlook = client.get_labeling_report(audit).outlook
    write(found, json, lambda found: write_audit(found, outlook_facts(outlook)))


@app.command("list")
def list_all(
    context: typer.Context,
    state: Annotated[
        str | None,
        typer.Option(
            help="Only audits in this state: queued, running, succeeded, failed, cancelling or cancelled. By "
            "default all."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List audits, newest first."""
    with connect(context) as client:
        audits = list(client.list_audits(state=state))
    if json:
        write_json({"audits": [as_dict(audit) for audit in audits]})
    else:
        write_audits(audits)


@app.command()
def findings(
    context: typer.Context,
    audit: AuditName,
    limit: Annotated[
        int, typer.Option(min=0, help="Stop after this many misclassifications. 0 means no limit.")
    ] = 0,
    json: Json = False,
) -> None:
    """Print misclassifications as they are found, one per line, until the audit has ended."""
    with connect(context) as client, left_running(audit):
        count = 0
        for count, found in enumerate(client.misclassifications(audit), start=1):
            write(found, json, write_misclassification)
            if count == limit:
                break
    if not json and not count:
        stdout.print("No misclassification was found.")


_Follow = Annotated[
    bool, typer.Option("--follow", help="Print them as they are found, until the audit has ended.")
]
_ConfirmedOnly = Annotated[bool, typer.Option("--confirmed-only", help="Show only confirmed bugs.")]


@dataclass(frozen=True)
class _Findings:
    """Bugs or regions: their name, where they come from, and how they are written."""

    what: str
    stream: Callable[[str], Iterable[Any]]
    listed: Callable[..., Iterable[Any]]
    write_text: Callable[..., None]


@app.command()
def bugs(
    context: typer.Context,
    audit: AuditName,
    follow: _Follow = False,
    confirmed_only: _ConfirmedOnly = False,
    json: Json = False,
) -> None:
    """Show an audit's bugs, those with the most misread inputs first.

    With --json this prints one document, or with --follow one bug per line.
    """
    with connect(context) as client, left_running(audit):
        found = _Findings("bugs", client.bugs, client.list_bugs, write_bugs)
        _show(client, found, audit, follow, confirmed_only, json)


@app.command()
def regions(
    context: typer.Context,
    audit: AuditName,
    follow: _Follow = False,
    confirmed_only: _ConfirmedOnly = False,
    json: Json = False,
) -> None:
    """Show an audit's regions, the cells of its bugs, those with the most misread inputs first.

    With --json this prints one document, or with --follow one region per line.
    """
    with connect(context) as client, left_running(audit):
        found = _Findings("regions", client.regions, client.list_regions, write_regions)
        _show(client, found, audit, follow, confirmed_only, json)


def _show(
    client: Client, found: _Findings, audit: str, follow: bool, confirmed_only: bool, json: bool
) -> None:
    """Write what an audit found, as it is found or as it stands."""
    if follow and confirmed_only:
        raise typer.BadParameter(
            "expected --follow or --confirmed-only, got both. Leave out --follow: labels confirm "
            f"{found.what} after they are found"
        )
    if json and not follow:
        listed = found.listed(audit, confirmed_only=confirmed_only)
        write_json({found.what: [as_dict(one) for one in listed]})
        return
    write_text = partial(found.write_text, class_names=() if json else class_names(client, audit))
    if follow:
        for one in found.stream(audit):
            write(one, json, lambda one: write_text([one]))
        return
    # All of them: ranks and shares are among all.
    whole = list(found.listed(audit))
    write_text([one for one in whole if one.confirmed or not confirmed_only], whole)
