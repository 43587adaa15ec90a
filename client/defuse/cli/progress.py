"""Progress bars on stderr, shown only at a terminal."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import rich.progress

from defuse._enum_name import enum_name
from defuse._operations.transfer import TransferProgress
from defuse.cli.figures import seconds, span
from defuse.cli.output import stderr
from defuse.errors import Job
from defuse.messages import JobState, Progress


@contextmanager
def transfer_bars() -> Generator[Callable[[TransferProgress], None]]:
    """Show a bar for each file. Yields an `on_progress` for the client's methods."""
    if not sys.stderr.isatty():
        yield lambda transfer: None
        return
    tasks: dict[Path, rich.progress.TaskID] = {}
    with _bars(
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    ) as progress:

        def update(transfer: TransferProgress) -> None:
            if transfer.path not in tasks:
                tasks[transfer.path] = progress.add_task(transfer.path.name, total=transfer.total_bytes)
            progress.update(tasks[transfer.path], completed=transfer.done_bytes)

        yield update


@contextmanager
def job_bar(*, log_stages: bool = False) -> Generator[Callable[[Job], None]]:
    """Show the progress of a job. Yields an `on_update` for the client's methods.

    With `log_stages` and without a terminal, a line is written for each new stage.
    """
    if not sys.stderr.isatty():
        yield _stage_writer() if log_stages else lambda job: None
        return
    with _bars(rich.progress.TextColumn("{task.fields[figures]}")) as progress:
        task = progress.add_task("", total=None, figures="")

        def update(job: Job) -> None:
            progress.update(
                task,
                description=f"{job.name} {state_of(job)} {job.progress.stage}",
                completed=job.progress.done,
                total=job.progress.total or None,
                figures=progress_figures(job.progress),
            )

        yield update


def _stage_writer() -> Callable[[Job], None]:
    written: set[str] = set()

    def update(job: Job) -> None:
        line = f"{job.name} {state_of(job)} {job.progress.stage}".rstrip()
        if line not in written:
            written.add(line)
            stderr.print(line, markup=False)

    return update


def _bars(*columns: rich.progress.ProgressColumn) -> rich.progress.Progress:
    # By default rich moves what goes to stdout above the bar, that is to stderr.
    first = (rich.progress.TextColumn("{task.description}"), rich.progress.BarColumn())
    return rich.progress.Progress(*first, *columns, console=stderr, redirect_stdout=False)


def state_of(job: Job) -> str:
    """Return the name of a job's state, such as `RUNNING`."""
    return enum_name(JobState, job.state)


def progress_figures(progress: Progress) -> str:
    """Return how far a job is, such as `12/40 seeds, 3/s, 9.5 s left in this stage`."""
    if progress.queue_position:
        return f"{progress.queue_position} before it in the queue"
    parts: list[str] = []
    if progress.total:
        parts.append(f"{progress.done}/{progress.total} {progress.unit}")
    if progress.rate_per_s:
        parts.append(f"{progress.rate_per_s:.0f}/s")
    if progress.HasField("estimated_remaining"):
        parts.append(f"{span(progress.estimated_remaining)} left in this stage")
    if progress.heartbeat_age.seconds > 10:
        parts.append(f"last heartbeat {seconds(progress.heartbeat_age.seconds)} ago")
    return ", ".join(parts)
