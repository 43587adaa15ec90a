"""`defuse label-report`: how far an audit's labels can be trusted."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from defuse.cli.output import Json, people, seconds, share, write_facts, write_json, write_table
from defuse.cli.session import connect
from defuse.messages import AnnotatorRecord, LabelingReport


def label_report(
    context: typer.Context,
    audit: Annotated[str, typer.Argument(metavar="AUDIT", help="audits/ID")],
    json: Json = False,
) -> None:
    """Show annotators' agreement, each annotator's record, and what was skipped."""
    with connect(context) as client:
        report = client.get_labeling_report(audit)
    if json:
        write_json(report)
    else:
        _write(report)


def _write(report: LabelingReport) -> None:
    progress = report.progress
    alpha = f"{report.alpha:.3f}" if report.HasField("alpha") else "unknown"
    write_facts(
        [
            ("answers", report.answer_count),
            ("Krippendorff's alpha", f"{alpha}, over {report.overlap_count} regions with two votes or more"),
            ("labeled", f"{progress.labeled_count} of {progress.region_count} regions"),
            ("mixed, invalid", f"{progress.mixed_count}, {progress.invalid_count}"),
            ("set aside", progress.set_aside_count),
        ]
    )
    people.print()
    columns = ("annotator", "answers", "can't tell", "with the consensus", "gold right", "skips", "median")
    write_table(columns, [_row(record) for record in report.annotators], "Nobody has answered.")
    if report.skips:
        people.print()
        skips = [(skip.region, escape(skip.annotator), escape(skip.reason)) for skip in report.skips]
        write_table(("skipped", "by", "because"), skips, "")


def _row(record: AnnotatorRecord) -> tuple[object, ...]:
    return (
        escape(record.annotator),
        record.answer_count,
        record.cannot_tell_count,
        _part(record.agreed_count, record.compared_count),
        _part(record.gold_right_count, record.gold_count),
        record.skip_count,
        seconds(record.median_answer_s),
    )


def _part(count: int, total: int) -> str:
    return f"{count} of {total} ({share(count / total)})" if total else ""
