"""Progress on stderr: bars at a terminal, and lines about a job elsewhere."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import rich.progress

from defuse._enum_name import enum_name
from defuse._operations.jobs import FINAL_STATES
from defuse._operations.transfer import TransferProgress
from defuse.cli.figures import seconds, span
from defuse.cli.output import stderr
from defuse.errors import Job
from defuse.messages import JobState, Progress

_LINES_APART_S, _LINES_APART_MAX_S = 5.0, 60.0


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
def job_bar(*, lines: bool = True) -> Generator[Callable[[Job], None]]:
    """Show the progress of a job. Yields an `on_update` for the client's methods.

    Without a terminal, as in a pipeline's log, lines are written instead, or nothing if not `lines`.
    """
    if not sys.stderr.isatty():
        yield line_writer() if lines else lambda job: None
        return
    with _bars(rich.progress.TextColumn("{task.fields[figures]}")) as progress:
        task = progress.add_task("", total=None, figures="")
        (shown,) = progress.tasks

        def update(job: Job) -> None:
            # `Progress.update` keeps an earlier stage's total if the new one has none.
            shown.total = job.progress.total or None
            progress.update(
                task,
                description=f"{job.name} {state_of(job)} {job.progress.stage}",
                completed=job.progress.done,
                figures=progress_figures(job.progress),
            )

        yield update


def line_writer(now_s: Callable[[], float] = time.monotonic) -> Callable[[Job], None]:
    """Return an `on_update` that writes a line for each new state and stage, and every few seconds between.

    The longer the job takes, the rarer the lines are: up to a minute apart, so that a log stays short.
    """
    started_s = now_s()
    last = ("", started_s)

    def update(job: Job) -> None:
        nonlocal last
        head, now = f"{job.name} {state_of(job)} {job.progress.stage}".rstrip(), now_s()
        age_s = now - started_s
        if head == last[0] and now - last[1] < min(max(_LINES_APART_S, age_s / 20), _LINES_APART_MAX_S):
            return
        last = (head, now)
        figures = "" if job.state in FINAL_STATES else progress_figures(job.progress)
        stderr.print(": ".join(filter(None, [f"{seconds(age_s)}  {head}", figures])), markup=False)

    return update


def _bars(*columns: rich.progress.ProgressColumn) -> rich.progress.Progress:
    # By default rich moves what goes to stdout above the bar, that is to stderr.
    first = (rich.progress.TextColumn("{task.description}"), rich.progress.BarColumn())
    return rich.progress.Progress(*first, *columns, console=stderr, redirect_stdout=False)


def state_of(job: Job) -> str:
    """Return the name of a job's state, such as `RUNNING`."""
    return enum_name(JobState, job.state)


def done_of_total(progress: Progress) -> str:
    """Return what is done of a stage, such as `12/40 seeds`, or `12 steps` if nobody knows of how many."""
    return f"{progress.done}{f'/{progress.total}' if progress.total else ''} {progress.unit}"


def progress_figures(progress: Progress) -> str:
    """Return how far a job is, such as `12/40 seeds, 3/s, 9.5 s left in this stage`."""
    if progress.queue_position:
        return f"{progress.queue_position} before it in the queue"
    parts: list[str] = []
    if progress.unit:
        parts.append(done_of_total(progress))
    if progress.rate_per_s:
        parts.append(f"{progress.rate_per_s:.0f}/s")
    if progress.HasField("estimated_remaining"):
        parts.append(f"{span(progress.estimated_remaining)} left in this stage")
    if progress.heartbeat_age.seconds > 10:
        parts.append(f"last heartbeat {seconds(progress.heartbeat_age.seconds)} ago")
    return ", ".join(parts)
