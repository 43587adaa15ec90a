"""Audits, misclassifications and regions for people."""

from __future__ import annotations

from collections.abc import Sequence

from defuse.cli.output import people, share, span, when, write_facts, write_table
from defuse.cli.progress import state_of
from defuse.messages import Audit, Interval, JobState, Misclassification, Region, RegionState


def write_audit(audit: Audit) -> None:
    """Write all that matters of one audit."""
    progress, preflight = audit.progress, audit.preflight
    running = audit.state == JobState.JOB_STATE_RUNNING
    stage = f"{progress.stage} {progress.done}/{progress.total} {progress.unit}"
    write_facts(
        [
            ("name", audit.name),
            ("called", audit.display_name),
            ("state", state_of(audit)),
            ("failure", audit.failure.message),
            ("stage", stage if running else ""),
            ("left in this stage", _remaining(audit) if running else ""),
            ("before it", progress.queue_position or None),
            ("device", progress.device),
            ("readability", share(preflight.readability) if audit.HasField("preflight") else ""),
            ("seeds", audit.seed_count),
            ("candidates", audit.candidate_count),
            ("misclassifications", audit.misclassification_count),
            ("regions", audit.region_count),
            ("created", when(audit.times.create_time)),
            ("started", when(audit.times.start_time)),
            ("ended", when(audit.times.end_time)),
        ]
        + [("warning", f"{warning.reason}: {warning.message}") for warning in audit.warnings]
    )


def _remaining(audit: Audit) -> str:
    progress = audit.progress
    return span(progress.estimated_remaining) if progress.HasField("estimated_remaining") else ""


def write_audits(audits: Sequence[Audit]) -> None:
    """Write a table of audits."""
    rows = [
        (
            audit.name,
            audit.display_name,
            state_of(audit),
            audit.misclassification_count,
            audit.region_count,
            when(audit.times.create_time),
        )
        for audit in audits
    ]
    write_table(
        ("audit", "called", "state", "misclassifications", "regions", "created"),
        rows,
        "There is no audit. Start one: defuse audit start --help",
    )


def write_misclassification(found: Misclassification) -> None:
    """Write one line."""
    people.print(
        f"seed {found.seed_index}: label {found.seed_label}, predicted {found.predicted_class} "
        f"({share(found.confidence)}), perturbed by {found.delta_norm:.3f}, "
        f"agreement {share(found.agreement)}",
        soft_wrap=True,
    )


def write_regions(regions: Sequence[Region]) -> None:
    """Write a table of regions."""
    rows = [
        (
            region.name,
            RegionState.Name(region.state).removeprefix("REGION_STATE_"),
            region.seed_label,
            region.predicted_class,
            region.label if region.HasField("label") else "",
            "yes" if region.confirmed else "",
            region.size,
            _interval(region.misclassification_rate),
            share(region.confidence),
        )
        for region in regions
    ]
    columns = ("region", "state", "seeds", "predicted", "label", "bug", "size", "misclassified", "confidence")
    write_table(columns, rows, "There is no region.")


def _interval(rate: Interval) -> str:
    return f"{share(rate.value)} ({share(rate.lower)} to {share(rate.upper)})"
