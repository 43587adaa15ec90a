"""`defuse status`: the service at a glance."""

import itertools
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from defuse._enum_name import enum_name
from defuse.cli.connection import connect
from defuse.cli.figures import span, when
from defuse.cli.output import Json, print_lines, stdout, write_json
from defuse.cli.progress import progress_figures
from defuse.messages import RunningJob, ServiceStatus, Verdict

_INTERVAL_S = 2.0

_Row = tuple[str, str]


def status(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C, with a look every two seconds.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the service at a glance: its workers and what they do, the queue, labeling, the last verdicts."""
    with connect(context) as client:

        def looks() -> Iterator[ServiceStatus]:
            for number in itertools.count() if watch else range(1):
                if number:
                    time.sleep(_INTERVAL_S)
                yield client.service_status()

        if json:
            for look in looks():
                write_json(look)
        elif watch and sys.stdout.isatty():
            with Live(console=stdout, screen=True, auto_refresh=False) as screen:
                for look in looks():
                    screen.update(_drawn(client.address, look), refresh=True)
        else:
            for look in looks():
                print_lines(_drawn(client.address, look))


def _drawn(address: str, look: ServiceStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    sections = {
        "service": [(address, f"version {look.version}, {when(look.time)}")],
        "store": [("can't be used", look.store_problem)] if look.store_problem else [],
        "workers": _workers(look),
        "without a worker": _abandoned(look),
        "queue": _queue(look),
        "labeling": _labeling(look),
        "verdicts": [
            (one.evaluation, f"{enum_name(Verdict, one.verdict)} of {one.candidate}, {when(one.end_time)}")
            for one in look.last_verdicts
        ],
    }
    for name, rows in sections.items():
        for position, row in enumerate(rows):
            table.add_row("" if position else name, *row)
    return table


def _workers(look: ServiceStatus) -> list[_Row]:
    if not look.workers:
        return [("none", "Jobs wait until somebody starts `defuse-server worker`.")]
    jobs = {job.name: job for job in look.running_jobs}
    return [
        (worker.worker, _doing(jobs[name]) if name in jobs else name or "idle")
        for worker in look.workers
        for name in worker.jobs or [""]
    ]


def _doing(job: RunningJob) -> str:
    attempt = f"attempt {job.progress.attempt}" if job.progress.attempt > 1 else ""
    parts = (job.progress.stage, progress_figures(job.progress), attempt, f"for {span(job.running_time)}")
    return f"{job.name}: {', '.join(filter(None, parts))}"


def _abandoned(look: ServiceStatus) -> list[_Row]:
    held = {name for worker in look.workers for name in worker.jobs}
    return [
        (job.name, f"{job.worker} was heard {span(job.progress.heartbeat_age)} ago")
        for job in look.running_jobs
        if job.name not in held
    ]


def _queue(look: ServiceStatus) -> list[_Row]:
    rows = [(one.kind, f"{one.count}, the oldest for {span(one.oldest_age)}") for one in look.queues]
    if look.awaiting_audit_count:
        rows.append(("evaluations", f"{look.awaiting_audit_count} wait for their audit"))
    return rows or [("empty", "")]


def _labeling(look: ServiceStatus) -> list[_Row]:
    rows = [(one.audit, f"{one.open_task_count} open tasks") for one in look.open_labelings]
    if len(rows) > 1:
        rows.append(("together", f"{look.open_label_task_count} open tasks"))
    return rows
