"""`defuse watch` and `defuse cancel`, for audits, corrections, evaluations and VAE trainings."""

from typing import Annotated, TypeVar, cast

import typer

from defuse._operations.jobs import ended_well
from defuse.cli.connection import connect, left_running
from defuse.cli.output import Json, stderr, stdout, write, write_json
from defuse.cli.progress import job_bar, state_of
from defuse.client import Client
from defuse.errors import Job

J = TypeVar("J", bound=Job)

AuditName = Annotated[str, typer.Argument(metavar="AUDIT", help="audits/ID.")]
JobName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="audits/ID, corrections/ID, evaluations/ID or vaeTrainings/ID."),
]


def watch(context: typer.Context, name: JobName, json: Json = False) -> None:
    """Follow a job until it ends. Ctrl-C ends the watch and leaves the job running."""
    with connect(context) as client:
        job = follow(client, name, json)
    if not json:
        _write_state(job)


def cancel(context: typer.Context, name: JobName, json: Json = False) -> None:
    """Ask a job to stop."""
    with connect(context) as client:
        write(client.cancel(name), json, _write_state)


def _write_state(job: Job) -> None:
    stdout.print(f"{job.name} {state_of(job)}")


def write_started(job: Job) -> None:
    """Name a job to whoever waits for it. Whatever ends the command, the job is found again."""
    stderr.print(f"{job.name} was started.", markup=False)


def waited(client: Client, job: J) -> J:
    """Wait for a job with a bar, and return it as it ended. Raises what `Client.wait` raises."""
    with left_running(job.name), job_bar() as update:
        return cast(J, client.wait(job, on_update=update))


def follow(client: Client, name: str, json: bool) -> Job:
    """Watch a job with a bar, or as lines of JSON, and return it. Raises what `Client.wait` raises."""
    last: Job | None = None
    # Each line of JSON holds the progress already.
    with left_running(name), job_bar(lines=not json) as update:
        for last in client.watch(name):
            update(last)
            if json:
                write_json(last)
    return ended_well(last, name)
