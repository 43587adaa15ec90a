"""`defuse watch` and `defuse cancel`, for audits, corrections, evaluations and trainings alike."""

from __future__ import annotations

from typing import Annotated

import typer

from defuse._jobs import ended_well
from defuse.cli.output import Json, people, write_json
from defuse.cli.progress import job_bar, state_of
from defuse.cli.session import connect, left_running
from defuse.client import Client
from defuse.errors import Job

JobName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="audits/ID, corrections/ID, evaluations/ID or vaeTrainings/ID"),
]


def watch(context: typer.Context, name: JobName, json: Json = False) -> None:
    """Follow a job until it ends. Ctrl-C leaves it running."""
    with connect(context) as client:
        job = follow(client, name, json)
    if not json:
        people.print(f"{job.name} {state_of(job)}")


def cancel(context: typer.Context, name: JobName, json: Json = False) -> None:
    """Stop a job."""
    with connect(context) as client:
        job = client.cancel(name)
    if json:
        write_json(job)
    else:
        people.print(f"{job.name} {state_of(job)}")


def follow(client: Client, name: str, json: bool) -> Job:
    """Watch a job to its end, with a bar or as JSON lines, and return it. Raises as `Client.wait` does."""
    last: Job | None = None
    with left_running(name), job_bar() as update:
        for last in client.watch(name):
            update(last)
            if json:
                write_json(last)
    return ended_well(last, name)
