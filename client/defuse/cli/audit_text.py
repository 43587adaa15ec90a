"""Audits, misclassifications and regions for people."""

from __future__ import annotations

from collections.abc import Sequence

from defuse.cli.output import people, share, span, when, write_facts, write_table
from defuse.cli.progress import state_of
from defuse.cli.saturation import write_saturation
from defuse.messages import (
    Audit,
    CalibrationFigures,
    Interval,
    JobState,
    Misclassification,
    Region,
    RegionState,
    SearchMethod,
    StopReason,
)

_STOPPED = {
    StopReason.STOP_REASON_SEEDS_EXHAUSTED: "every seed was searched",
    StopReason.STOP_REASON_SATURATED: "no new regions came into sight",
    StopReason.STOP_REASON_CANDIDATE_BUDGET: "the budget of candidates was spent",
    StopReason.STOP_REASON_TIME_BUDGET: "the budget of time was spent",
}


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
            ("search ended", _STOPPED.get(audit.stop_reason, "")),
            ("calibration", _calibration(audit.calibration) if audit.HasField("calibration") else ""),
            ("created", when(audit.times.create_time)),
            ("started", when(audit.times.start_time)),
            ("ended", when(audit.times.end_time)),
        ]
        + [("warning", f"{warning.reason}: {warning.message}") for warning in audit.warnings]
    )
    if audit.saturation:
        people.print()
        write_saturation(audit.saturation)


def _calibration(figures: CalibrationFigures) -> str:
    if not figures.items:
        return "too few validation items to measure it"
    return (
        f"expected error {figures.expected_calibration_error:.3f}, Brier score {figures.brier_score:.3f}, "
        f"on {figures.items} validation items, {share(figures.bug_share)} of them bugs"
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
        f"agreement {share(found.agreement)}{_belief(found)}",
        soft_wrap=True,
    )


def _belief(found: Misclassification) -> str:
    names = {number: name.removeprefix("SEARCH_METHOD_").lower() for name, number in SearchMethod.items()}
    belief = f", a bug with {share(found.bug_probability)}" if found.bug_probability else ""
    return f"{belief}, by {names.get(found.method, found.method)}" if found.method else belief


def write_regions(regions: Sequence[Region]) -> None:
    """Write a table of regions, those with the largest expected harm first."""
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
            _harm(region.harm) if region.HasField("harm") else "",
            share(region.bug_probability) if region.bug_probability else "",
            _split(region),
        )
        for region in sorted(regions, key=lambda region: -region.harm.value)
    ]
    columns = (
        "region",
        "state",
        "seeds",
        "predicted",
        "label",
        "bug",
        "size",
        "misclassified",
        "harm",
        "bug probability",
        "split",
    )
    write_table(columns, rows, "There is no region.")
    for region in regions:
        if region.unsplit_reason:
            people.print(f"{region.name} stays MIXED: {region.unsplit_reason}", soft_wrap=True)


def _split(region: Region) -> str:
    """Which region it comes from (its number), which ones it was split into, or that this is to come."""
    if region.state == RegionState.REGION_STATE_MIXED and not region.parts and not region.unsplit_reason:
        return "to come"
    into = ", ".join(_number(part) for part in region.parts)
    said = [f"from {_number(region.parent)}" if region.parent else "", f"into {into}" if into else ""]
    return " ".join(filter(None, said))


def _number(region: str) -> str:
    return region.rpartition("/")[2]


def _interval(rate: Interval) -> str:
    return f"{share(rate.value)} ({share(rate.lower)} to {share(rate.upper)})"


def _harm(harm: Interval) -> str:
    # Regions are small: a tenth of a per cent would show most as 0.
    return f"{100 * harm.value:.2g}% ({100 * harm.lower:.2g}% to {100 * harm.upper:.2g}%)"
