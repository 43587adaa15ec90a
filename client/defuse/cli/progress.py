"""Progress bars, on stderr, and only where somebody looks at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from defuse._transfer import TransferProgress
from defuse.cli.output import errors, seconds, span
from defuse.errors import Job
from defuse.v1.models_pb2 import JobState


@contextmanager
def transfer_bars() -> Generator[Callable[[TransferProgress], None]]:
    """Show a bar for each file; the value is an `on_progress`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    if not sys.stderr.isatty():
        yield lambda transfer: None
        return
    tasks: dict[Path, TaskID] = {}
    with _bars(*columns) as progress:

        def update(transfer: TransferProgress) -> None:
            if transfer.path not in tasks:
                tasks[transfer.path] = progress.add_task(transfer.path.name, total=transfer.total_bytes)
            progress.update(tasks[transfer.path], completed=transfer.done_bytes)

        yield update


@contextmanager
def job_bar() -> Generator[Callable[[Job], None]]:
    """Show how far a job is; the value is an `on_update`."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
    if not sys.stderr.isatty():
        yield lambda job: None
        return
    with _bars(*columns) as progress:
        task = progress.add_task("", total=None, figures="")

        def update(job: Job) -> None:
            progress.update(
                task,
                description=f"{job.name} {state_of(job)} {job.progress.stage}",
                completed=job.progress.done,
                total=job.progress.total or None,
                figures=_figures(job),
            )

        yield update


def _bars(*columns: ProgressColumn) -> Progress:
    # Left to itself, rich writes what goes to stdout above the bar: to stderr.
    return Progress(*columns, console=errors, redirect_stdout=False)


def state_of(job: Job) -> str:
    """Return the state's name without its prefix; a number for one that this client does not know."""
    number = int(job.state)
    return JobState.Name(job.state).removeprefix("JOB_STATE_") if number in JobState.values() else str(number)


def _figures(job: Job) -> str:
    progress = job.progress
    if progress.queue_position:
        return f"{progress.queue_position} before it"
    parts: list[str] = []
    if progress.total:
        parts.append(f"{progress.done}/{progress.total} {progress.unit}")
    if progress.rate_per_s:
        parts.append(f"{progress.rate_per_s:.0f}/s")
    if progress.HasField("estimated_remaining"):
        parts.append(f"{span(progress.estimated_remaining)} left in this stage")
    if progress.heartbeat_age.seconds > 10:
        parts.append(f"no sign of life for {seconds(progress.heartbeat_age.seconds)}")
    return ", ".join(parts)
