"""`defuse list`, `defuse show` and `defuse delete`: what was registered or started is found again."""

import sys
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer

from defuse.cli.audit_text import class_names, write_bugs, write_regions
from defuse.cli.connection import connect
from defuse.cli.kinds import KINDS, Found, found_kind
from defuse.cli.lineage import lineage, write_lineage
from defuse.cli.output import Json, as_dict, stderr, stdout, write, write_facts, write_json, write_table
from defuse.cli.verdict_table import evaluated_classes, write_evaluation
from defuse.errors import ArgumentError


class ListedKind(StrEnum):
    """What can be listed."""

    CLASSIFIERS = "classifiers"
    VAES = "vaes"
    DATASETS = "datasets"
    AUDITS = "audits"
    TRAININGS = "trainings"
    CORRECTIONS = "corrections"
    EVALUATIONS = "evaluations"


_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Such as classifiers/ID, audits/ID or evaluations/ID.")
]


def list_all(
    context: typer.Context,
    kind: Annotated[ListedKind, typer.Argument(case_sensitive=False, help="What to list.")],
    state: Annotated[
        str,
        typer.Option(
            help="Only those in this state: inspecting, ready or rejected; of jobs queued, running, "
            "succeeded, failed, cancelling or cancelled. By default all."
        ),
    ] = "",
    name: Annotated[
        str,
        typer.Option(help="Only those whose display name contains this text, in any case. By default all."),
    ] = "",
    digest: Annotated[
        str,
        typer.Option(
            help="Only those with a file, or with labels, whose SHA-256 begins like this. By default all."
        ),
    ] = "",
    parent: Annotated[
        str,
        typer.Option(
            help="Only those that refer to this resource, such as the audits of classifiers/ID. By default "
            "all."
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=0, help="Show at most this many. 0 means no limit.")] = 0,
    json: Json = False,
) -> None:
    """List classifiers, VAEs, datasets or jobs, newest first."""
    found = KINDS["vaeTrainings" if kind is ListedKind.TRAININGS else kind.value]
    _check_filters(kind, found, digest, parent)
    with connect(context) as client:
        every = client.iterate_flow(found.kind.list_all(state=state or None, timeout_s=client.timeout_s))
        wanted = (one for one in every if _matches(found, one, name, digest, parent))
        listed = list(islice(wanted, limit or None))
    if json:
        write_json({found.list_field: [as_dict(one) for one in listed]})
        return
    narrowed = any((state, name, digest, parent))
    empty = f"There are no such {kind}." if narrowed else f"There are no {kind}."
    write_table([found.row(one) for one in listed], empty)


def _check_filters(kind: ListedKind, found: Found, digest: str, parent: str) -> None:
    if digest and found.digests is None:
        raise ArgumentError(
            f"expected --digest for what has files of its own, got it for {kind}. Find the classifier or the "
            f"dataset by its digest, and then: defuse list {kind} --parent NAME"
        )
    if parent:
        found_kind(parent)
        if kind is ListedKind.DATASETS:
            raise ArgumentError("expected no --parent for datasets: they refer to nothing")


def _matches(found: Found, one: Any, name: str, digest: str, parent: str) -> bool:
    begins = digest.lower().removeprefix("sha256:").removeprefix("artifacts/")
    digests = found.digests(one) if found.digests and digest else ()
    return (
        name.casefold() in one.display_name.casefold()
        and (not parent or parent in found.references(one))
        and (not digest or any(each.removeprefix("artifacts/").startswith(begins) for each in digests))
    )


def show(
    context: typer.Context,
    name: _Name,
    with_lineage: Annotated[
        bool,
        typer.Option("--lineage", help="Show what it was made of and what it went into instead, as trees."),
    ] = False,
    json: Json = False,
) -> None:
    """Show a resource as it stands.

    NAME may also be a bug, audits/ID/bugs/N; a region, audits/ID/regions/N; or artifacts/SHA256.
    """
    with connect(context) as client:
        if with_lineage:
            made = lineage(client, name)
            if json:
                write_json(made)
            else:
                write_lineage(made)
        elif "/bugs/" in name:
            write(
                client.get_bug(name),
                json,
                lambda bug: write_bugs([bug], class_names=class_names(client, bug.name)),
            )
        elif "/regions/" in name:
            write(
                client.get_region(name),
                json,
                lambda region: write_regions([region], class_names=class_names(client, region.name)),
            )
        elif name.startswith("evaluations/"):
            write(
                client.get_evaluation(name),
                json,
                lambda made: write_evaluation(made, evaluated_classes(client, made)),
            )
        elif name.startswith("artifacts/"):
            artifact = client.get_artifact(name)
            size = f"{artifact.size_bytes} bytes"
            write(artifact, json, lambda one: write_facts(("name", one.name), ("size", size)))
        else:
            found = found_kind(name)
            write(found.get(client, name), json, found.write)


def delete(
    context: typer.Context,
    name: _Name,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Don't ask. Needed where there is no terminal.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete a resource that no other refers to. At a terminal, this asks first."""
    found = found_kind(name)
    if not yes and not sys.stdin.isatty():
        raise ArgumentError("expected --yes: there is no terminal at which to ask whether to delete")
    with connect(context) as client:
        resource = found.get(client, name)
        if not yes and not _confirmed(found, resource):
            stderr.print("Nothing was deleted.")
            return
        client.run_flow(found.kind.delete(name, timeout_s=client.timeout_s))
    if json:
        write_json({"name": name})
    else:
        stdout.print(f"{name} was deleted.", markup=False)


def _confirmed(found: Found, resource: Any) -> bool:
    told = ", ".join(filter(None, [found.state(resource), resource.display_name]))
    more = f" with {found.deletes_too}" if found.deletes_too else ""
    return typer.confirm(f"Delete {resource.name} ({told}){more}?", err=True)
