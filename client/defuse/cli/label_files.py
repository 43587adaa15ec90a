"""`defuse label export` and `defuse label import`: labeling with other tools."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from defuse._enum_name import enum_name
from defuse.cli.connection import connect
from defuse.cli.jobs import AuditName
from defuse.cli.output import Json, stderr, stdout, write, write_json
from defuse.client import Client
from defuse.messages import ImportLabelsResponse, ImportProblemReason

_Format = Annotated[
    Literal["label-studio", "csv"] | None,
    typer.Option(
        "--format",
        case_sensitive=False,
        help="The file's format. By default its name decides: .json (Label Studio) or .csv.",
    ),
]


def export(
    context: typer.Context,
    audit: AuditName,
    out: Annotated[Path, typer.Option("--out", "-o", dir_okay=False, help="The file to write.")],
    format_: _Format = None,
    image_base_url: Annotated[
        str,
        typer.Option(
            help="Refer to pictures as URL/SHA256.png. By default a Label Studio file holds them, and a "
            "CSV file names their artifacts."
        ),
    ] = "",
    pictures: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Also write the pictures to this folder, for the server at --image-base-url. By default "
            "none are written.",
        ),
    ] = None,
    include_closed: Annotated[
        bool, typer.Option("--all", help="Include regions that need no more answers.")
    ] = False,
    json: Json = False,
) -> None:
    """Write an audit's regions as tasks for Label Studio or a spreadsheet."""
    with connect(context) as client:
        header = client.export_label_tasks(
            audit,
            out,
            format=format_,
            image_base_url=image_base_url,
            include_closed=include_closed,
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
        beside = "" if config is None else f"; the project's labeling configuration is in {config}"
        stdout.print(f"{header.task_count} tasks in {out}{beside}", markup=False)


def import_(
    context: typer.Context,
    audit: AuditName,
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="Label Studio's export in `JSON`, or a CSV file."),
    ],
    format_: _Format = None,
    annotator: Annotated[
        str, typer.Option(help="The author of CSV rows that name none. By default such rows are not counted.")
    ] = "",
    json: Json = False,
) -> None:
    """Import answers from Label Studio or a spreadsheet. Importing a file twice changes nothing.

    Exits with 65 if an answer was not counted. The others are.
    """
    with connect(context) as client:
        result = client.import_labels(audit, file, format=format_, annotator=annotator)
    write(result, json, _write_text)
    if result.problem_count:
        raise typer.Exit(65)


def _write_text(result: ImportLabelsResponse) -> None:
    for problem in result.problems:
        reason = enum_name(ImportProblemReason, problem.reason)
        place = " ".join(part for part in (problem.region, problem.annotator) if part)
        stderr.print(f"{problem.row}: {reason} {place}: {problem.message}", markup=False)
    if result.problem_count > len(result.problems):
        stderr.print(f"... and {result.problem_count - len(result.problems)} more")
    stdout.print(
        f"{result.imported_count} counted, {result.known_count} counted before, "
        f"{result.unanswered_count} unanswered, {result.problem_count} not counted."
    )


def _write_pictures(client: Client, audit: str, folder: Path) -> None:
    """Write the pictures of all tasks, named as in an export, unless they are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    for task in client.list_tasks(audit):
        picture = folder / f"{task.sheet.artifact.removeprefix('artifacts/')}.png"
        if not picture.exists():
            client.download(task.sheet.artifact, picture)
