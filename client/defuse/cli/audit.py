"""`defuse audit`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from defuse.cli import jobs
from defuse.cli.audit_text import write_audit, write_audits, write_misclassification, write_regions
from defuse.cli.connection import connect, left_running
from defuse.cli.output import Json, as_dict, stdout, write, write_json

app = typer.Typer(help="Search a classifier for what it gets wrong.", no_args_is_help=True)
app.command("watch")(jobs.watch)
app.command("cancel")(jobs.cancel)

AuditName = Annotated[str, typer.Argument(metavar="AUDIT", help="audits/ID.")]


class PresetName(StrEnum):
    """A set of defaults."""

    DEFAULT = "default"
    PAPER = "paper"


class MethodName(StrEnum):
    """How candidates are made."""

    PAPER = "paper"
    NEIGHBOURHOOD = "neighbourhood"
    GRADIENT = "gradient"


class ConsensusName(StrEnum):
    """How annotators' answers become labels."""

    MAJORITY = "majority"
    DAWID_SKENE = "dawid-skene"


@app.command()
def start(
    context: typer.Context,
    classifier: Annotated[str, typer.Option(help="classifiers/ID")],
    vae: Annotated[str, typer.Option(help="vaes/ID")],
    dataset: Annotated[str, typer.Option(help="datasets/ID")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")] = False,
    name: Annotated[str, typer.Option(help="What to call it in lists.")] = "",
    preset: PresetName = PresetName.DEFAULT,
    seed: int = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N; default: the server's.")] = "",
    max_seeds: Annotated[int, typer.Option(help="Train items to start from; 0: all.")] = 0,
    candidates_per_seed: Annotated[int, typer.Option(help="0: the preset's, as of all below.")] = 0,
    kept_per_seed: int = 0,
    noise_scale: float = 0.0,
    neighbours: int = 0,
    agreement_threshold: float = 0.0,
    tau: float = 0.0,
    annotators_per_region: Annotated[int, typer.Option(help="0: 3.")] = 0,
    max_annotators_per_region: Annotated[
        int, typer.Option(help="So many at most, where they don't agree; 0: two more.")
    ] = 0,
    consensus: Annotated[
        ConsensusName, typer.Option(help="How answers become labels.")
    ] = ConsensusName.MAJORITY,
    gold_rate: Annotated[
        float, typer.Option(help="Share of tasks with a known answer, 0 to 0.5, to find careless annotators.")
    ] = 0.0,
    method: Annotated[
        list[MethodName] | None,
        typer.Option(help="How candidates are made (repeat the option); default: the preset's."),
    ] = None,
    max_candidates: Annotated[int, typer.Option(help="Stop after so many candidates; 0: no limit.")] = 0,
    budget_s: Annotated[float, typer.Option(help="Stop after so many seconds; 0: no limit.")] = 0.0,
    patience_shards: Annotated[
        int, typer.Option(help="Stop after so many shards without a new region; 0: the preset's, -1: never.")
    ] = 0,
    belief_threshold: Annotated[
        float, typer.Option(help="Least probability of being a bug, up to 1, to be kept; 0: the preset's.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Start an audit."""
    with connect(context) as client:
        audit = client.start_audit(
            classifier,
            vae,
            dataset,
            display_name=name,
            preset=preset.value,
            seed=seed,
            device=device,
            max_seeds=max_seeds,
            candidates_per_seed=candidates_per_seed,
            kept_per_seed=kept_per_seed,
            noise_scale=noise_scale,
            neighbours=neighbours,
            agreement_threshold=agreement_threshold,
            tau=tau,
            annotators_per_region=annotators_per_region,
            methods=[name.value for name in method or ()],
            max_candidates=max_candidates,
            budget_s=budget_s,
            patience_shards=patience_shards,
            belief_threshold=belief_threshold,
            labeling={
                "method": consensus.value.replace("-", "_"),
                "max_annotators_per_region": max_annotators_per_region,
                "gold_rate": gold_rate,
            },
        )
        if watch:
            jobs.follow(client, audit.name, json)
            if json:
                return
            audit = client.get_audit(audit)
    write(audit, json, write_audit)


@app.command()
def status(context: typer.Context, audit: AuditName, json: Json = False) -> None:
    """Show an audit as it stands."""
    with connect(context) as client:
        write(client.get_audit(audit), json, write_audit)


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


@app.command()
def regions(
    context: typer.Context,
    audit: AuditName,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print regions as they are found, until the audit has ended.")
    ] = False,
    confirmed_only: Annotated[
        bool, typer.Option("--confirmed-only", help="Show only confirmed bugs.")
    ] = False,
    json: Json = False,
) -> None:
    """Show an audit's regions, those with the most misread inputs first.

    With --json this prints one document, or with --follow one region per line.
    """
    with connect(context) as client, left_running(audit):
        if follow and confirmed_only:
            raise typer.BadParameter(
                "expected --follow or --confirmed-only, got both. Leave out --follow: labels confirm regions "
                "after they are found"
            )
        if follow:
            for region in client.regions(audit):
                write(region, json, lambda region: write_regions([region]))
            return
        found = list(client.list_regions(audit, confirmed_only=confirmed_only))
    if json:
        write_json({"regions": [as_dict(region) for region in found]})
    else:
        write_regions(found)
