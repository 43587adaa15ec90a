"""Audits, misclassifications and regions as text."""

from collections.abc import Mapping, Sequence

from defuse import messages
from defuse._enum_name import enum_name
from defuse.cli.figures import (
    misread_per_million,
    readability,
    share,
    share_of_all,
    share_with_interval,
    span,
    when,
)
from defuse.cli.output import stdout, write_facts, write_table
from defuse.cli.progress import done_of_total, state_of
from defuse.cli.saturation_curve import write_saturation
from defuse.client import Client

_STOPPED = {
    messages.StopReason.STOP_REASON_SEEDS_EXHAUSTED: "every seed was searched",
    messages.StopReason.STOP_REASON_SATURATED: "no new regions were found",
    messages.StopReason.STOP_REASON_CANDIDATE_BUDGET: "the candidate budget was spent",
    messages.StopReason.STOP_REASON_TIME_BUDGET: "the time budget was spent",
}


def write_audit(audit: messages.Audit, labels: Sequence[tuple[str, str]] = ()) -> None:
    """Write the state, the counts and the figures of an audit, and facts about its `labels`."""
    progress, preflight = audit.progress, audit.preflight
    running = audit.state == messages.JobState.JOB_STATE_RUNNING
    # Only finished shards are counted: before the first one, zeros would look like a search without results.
    is_counted = not running or audit.candidate_count > 0
    stage = f"{progress.stage} {done_of_total(progress)}"
    write_facts(
        ("name", audit.name),
        ("display name", audit.display_name),
        ("state", state_of(audit)),
        ("failure", audit.failure.message),
        ("classifier", audit.classifier),
        ("vae", audit.vae),
        ("dataset", audit.dataset),
        ("stage", stage if running else ""),
        ("left in this stage", _remaining(audit) if running else ""),
        ("waits since", when(progress.waiting_since)),
        ("before it in the queue", progress.queue_position or None),
        ("before it", ", ".join(progress.jobs_before)),
        ("device", progress.device),
        ("readability", readability(preflight) if audit.HasField("preflight") else ""),
        ("seeds", audit.seed_count if is_counted else None),
        ("candidates", audit.candidate_count if is_counted else None),
        ("misclassifications", audit.misclassification_count if is_counted else None),
        ("regions", audit.region_count if is_counted else None),
        ("search ended", _STOPPED.get(audit.stop_reason, "")),
        ("calibration", _calibration(audit.calibration) if audit.HasField("calibration") else ""),
        ("created", when(audit.times.create_time)),
        ("started", when(audit.times.start_time)),
        ("ended", when(audit.times.end_time)),
        *labels,
        *[("warning", f"{warning.reason}: {warning.message}") for warning in audit.warnings],
    )
    if audit.saturation:
        stdout.print()
        write_saturation(audit.saturation)


def _calibration(figures: messages.CalibrationFigures) -> str:
    if not figures.items:
        return "too few validation items to measure it"
    return (
        f"expected error {figures.expected_calibration_error:.3f}, Brier score {figures.brier_score:.3f}, "
        f"on {figures.items} validation items, {share(figures.bug_share)} of them bugs"
    )


def _remaining(audit: messages.Audit) -> str:
    progress = audit.progress
    return span(progress.estimated_remaining) if progress.HasField("estimated_remaining") else ""


def write_audits(audits: Sequence[messages.Audit]) -> None:
    """Write a table of audits."""
    rows = [
        {
            "audit": audit.name,
            "display name": audit.display_name,
            "state": state_of(audit),
            "misclassifications": audit.misclassification_count,
            "regions": audit.region_count,
            "created": when(audit.times.create_time),
        }
        for audit in audits
    ]
    write_table(rows, "There are no audits. Start one: defuse audit start --help")


def write_misclassification(found: messages.Misclassification) -> None:
    """Write one line about a misclassification."""
    stdout.print(
        f"seed {found.seed_index}: label {found.seed_label}, predicted {found.predicted_class} "
        f"({share(found.confidence)}), perturbed by {found.delta_norm:.3f}, "
        f"agreement {share(found.agreement)}{_belief(found)}",
        soft_wrap=True,
    )


def _belief(found: messages.Misclassification) -> str:
    belief = f", a bug with {share(found.bug_probability)}" if found.bug_probability else ""
    return (
        f"{belief}, by {enum_name(messages.SearchMethod, found.method).lower()}" if found.method else belief
    )


def write_regions(
    regions: Sequence[messages.Region],
    whole: Sequence[messages.Region] | None = None,
    class_names: Sequence[str] = (),
) -> None:
    """Write a table of regions, those with the most misread inputs first.

    `whole` are all regions of the audit; without them, there are no ranks and shares. Without names, classes
    are numbers.
    """
    ranks = _ranks(whole)
    total = sum(region.harm.value for region in whole or () if region.name in ranks) or 1.0
    rows = [
        {
            "region": region.name,
            **_rank(ranks, region.name),
            "state": enum_name(messages.RegionState, region.state),
            "seeds": _class(region.seed_label, class_names),
            "predicted": _class(region.predicted_class, class_names),
            "label": _class(region.label, class_names) if region.HasField("label") else "",
            "bug": "yes" if region.confirmed else "",
            "size": region.size,
            "misclassified": share_with_interval(region.misclassification_rate),
            "misread inputs": misread_per_million(region.harm) if region.HasField("harm") else "",
            **({"share": share_of_all(region.harm.value / total)} if ranks else {}),
            "bug probability": share(region.bug_probability) if region.bug_probability else "",
            "region split": _region_split(region),
        }
        for region in sorted(regions, key=lambda region: -region.harm.value)
    ]
    write_table(rows, "There are no regions.")
    for region in regions:
        if region.unsplit_reason:
            stdout.print(f"{region.name} stays MIXED: {region.unsplit_reason}", soft_wrap=True)


def write_bugs(
    bugs: Sequence[messages.Bug],
    whole: Sequence[messages.Bug] | None = None,
    class_names: Sequence[str] = (),
) -> None:
    """Write a table of bugs, those with the most misread inputs first.

    `whole` are all bugs of the audit; without them, there are no ranks. Without names, classes are numbers.
    """
    ranks = _ranks(whole)
    rows = [
        {
            "bug": bug.name,
            **_rank(ranks, bug.name),
            "state": enum_name(messages.RegionState, bug.state),
            "seeds": _class(bug.seed_label, class_names),
            "predicted": _class(bug.predicted_class, class_names),
            "label": _class(bug.label, class_names) if bug.HasField("label") else "",
            "confirmed": "yes" if bug.confirmed else "",
            "cells": len(bug.cells),
            "of them shown": _purity(bug),
            "seed items": bug.seed_count,
            "misread inputs": misread_per_million(bug.harm),
            "share": share_of_all(bug.harm_share),
            "split": _region_split(bug),
        }
        for bug in sorted(bugs, key=lambda bug: -bug.harm.value)
    ]
    write_table(rows, "There are no bugs.")
    for bug in bugs:
        if bug.unsplit_reason:
            stdout.print(f"{bug.name} stays MIXED: {bug.unsplit_reason}", soft_wrap=True)


def class_names(client: Client, name: str) -> Sequence[str]:
    """Return the names of the classes of an audit, or of the one that the bug or region `name` belongs to."""
    audit = "/".join(name.split("/")[:2])
    return client.get_dataset(client.get_audit(audit).dataset).class_names


def _class(number: int, names: Sequence[str]) -> str:
    return f"{number} {names[number]}" if number < len(names) else str(number)


def _ranks(whole: Sequence[messages.Region] | Sequence[messages.Bug] | None) -> dict[str, int]:
    """Return the ranks by misread inputs, from 1. What was split has none: its parts stand for it."""
    last = sorted((one for one in whole or () if not one.parts), key=lambda one: -one.harm.value)
    return {one.name: rank for rank, one in enumerate(last, start=1)}


def _rank(ranks: Mapping[str, int], name: str) -> dict[str, object]:
    return {"rank": ranks.get(name, "")} if ranks else {}


def _purity(bug: messages.Bug) -> str:
    """Return how many cells were shown, and for how many of all the label holds."""
    shown = f"{len(set(bug.shown_cells))}"
    return f"{shown}: at least {share(bug.purity_bound)} bear the label" if bug.purity_bound else shown


def _region_split(region: messages.Region | messages.Bug) -> str:
    """Return the numbers of the bug or region it was split from and of those it was split into."""
    if (
        region.state == messages.RegionState.REGION_STATE_MIXED
        and not region.parts
        and not region.unsplit_reason
    ):
        return "to come"
    into = ", ".join(_number(part) for part in region.parts)
    said = [f"from {_number(region.parent)}" if region.parent else "", f"into {into}" if into else ""]
    return " ".join(filter(None, said))


def _number(region: str) -> str:
    return region.rpartition("/")[2]
