"""`defuse label export` and `defuse label import`: labeling with other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from defuse.cli.output import Json, errors, people, write_json
from defuse.cli.session import connect
from defuse.client import Client
from defuse.messages import ImportLabelsResponse, ImportProblemReason

AuditName = Annotated[str, typer.Argument(metavar="AUDIT", help="audits/ID")]


class FormatName(StrEnum):
    """The form of a file."""

    LABEL_STUDIO = "label-studio"
    CSV = "csv"


_Format = Annotated[
    FormatName | None,
    typer.Option("--format", help="Default: by the file's name, .json (Label Studio) or .csv."),
]


def export(
    context: typer.Context,
    audit: AuditName,
    out: Annotated[Path, typer.Option("--out", "-o", dir_okay=False, help="The file to write.")],
    format_: _Format = None,
    image_base_url: Annotated[
        str, typer.Option(help="Name pictures URL/SHA256.png, instead of putting them into the file.")
    ] = "",
    pictures: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder to write the pictures to, as that URL is to serve them."),
    ] = None,
    include_closed: Annotated[
        bool, typer.Option("--all", help="Also the regions that want no more answers.")
    ] = False,
    json: Json = False,
) -> None:
    """Write an audit's regions as tasks for Label Studio or a spreadsheet."""
    with connect(context) as client:
        header = client.export_label_tasks(
            audit, out, format=_named(format_), image_base_url=image_base_url, include_closed=include_closed
        )
        if pictures is not None:
            _write_pictures(client, audit, pictures)
    config = out.with_name(f"{out.stem}.labeling-config.xml") if header.labeling_config else None
    if config is not None:
        config.write_text(header.labeling_config, encoding="utf-8")
    if json:
        path = "" if config is None else str(config)
        write_json({"task_count": header.task_count, "path": str(out), "labeling_config_path": path})
    else:
        beside = "" if config is None else f"; the project's labeling configuration is {config}"
        people.print(f"{header.task_count} tasks in {out}{beside}", markup=False)


def import_(
    context: typer.Context,
    audit: AuditName,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Label Studio's export `JSON`, or a CSV file.")
    ],
    format_: _Format = None,
    annotator: Annotated[str, typer.Option(help="Who answered where a row of CSV doesn't say.")] = "",
    json: Json = False,
) -> None:
    """Take answers back from Label Studio or a spreadsheet; the same file again changes nothing."""
    with connect(context) as client:
        result = client.import_labels(audit, file, format=_named(format_), annotator=annotator)
    if json:
        write_json(result)
    else:
        _write_result(result)


def _write_result(result: ImportLabelsResponse) -> None:
    for problem in result.problems:
        reason = ImportProblemReason.Name(problem.reason).removeprefix("IMPORT_PROBLEM_REASON_")
        place = " ".join(part for part in (problem.region, problem.annotator) if part)
        errors.print(f"{problem.row}: {reason} {place}: {problem.message}", markup=False)
    if result.problem_count > len(result.problems):
        errors.print(f"... and {result.problem_count - len(result.problems)} more")
    people.print(
        f"{result.imported_count} counted, {result.known_count} known from before, "
        f"{result.unanswered_count} unanswered, {result.problem_count} not counted."
    )


def _write_pictures(client: Client, audit: str, folder: Path) -> None:
    """Write the pictures of all tasks, by the names that an export gives them; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for task in client.list_tasks(audit):
        picture = folder / f"{task.sheet.artifact.removeprefix('artifacts/')}.png"
        if not picture.exists():
            client.download(task.sheet.artifact, picture)


def _named(format_: FormatName | None) -> str | None:
    return None if format_ is None else format_.value.replace("-", "_")
