"""`defuse label-report`: whether an audit's labels can be trusted."""

import typer

from defuse.cli.connection import connect
from defuse.cli.figures import seconds, share
from defuse.cli.jobs import AuditName
from defuse.cli.outlook_text import outlook_facts
from defuse.cli.output import Json, stdout, write, write_facts, write_table
from defuse.messages import AnnotatorRecord, LabelingProgress, LabelingReport


def label_report(
    context: typer.Context,
    audit: AuditName,
    json: Json = False,
) -> None:
    """Show how far annotators agree, each annotator's record, and what they skipped."""
    with connect(context) as client:
        write(client.get_labeling_report(audit), json, _write_text)


def _write_text(report: LabelingReport) -> None:
    progress = report.progress
    alpha = f"{report.alpha:.3f}" if report.HasField("alpha") else "unknown"
    write_facts(
        ("answers", report.answer_count),
        ("Krippendorff's alpha", f"{alpha}, over {report.overlap_count} with two votes or more"),
        ("labeled", labeled(progress)),
        ("mixed, invalid", f"{progress.mixed_count}, {progress.invalid_count}"),
        ("set aside", progress.set_aside_count),
        *outlook_facts(report.outlook),
    )
    if report.contradicting:
        names = ", ".join(report.contradicting)
        stdout.print(f"labels that the search does not believe: {names}. Look at these bugs again.")
    stdout.print()
    write_table([_row(record) for record in report.annotators], "Nobody has answered yet.")
    if report.skips:
        stdout.print()
        write_table(
            [{"skipped": skip.region, "by": skip.annotator, "because": skip.reason} for skip in report.skips]
        )


def labeled(progress: LabelingProgress) -> str:
    """Say how many bugs have a label, or how many regions if the audit has no bugs."""
    if progress.bug_count:
        return (
            f"{progress.labeled_bug_count} of {progress.bug_count} bugs have a label, "
            f"{progress.confirmed_bug_count} of them are confirmed"
        )
    return (
        f"{progress.labeled_count} of {progress.region_count} regions have a label, "
        f"{progress.confirmed_count} of them are confirmed bugs"
    )


def _row(record: AnnotatorRecord) -> dict[str, object]:
    return {
        "annotator": record.annotator,
        "answers": record.answer_count,
        "can't tell": record.cannot_tell_count,
        "with the consensus": _part(record.agreed_count, record.compared_count),
        "gold right": _part(record.gold_right_count, record.gold_count),
        "skips": record.skip_count,
        "median time": seconds(record.median_answer_s),
    }


def _part(count: int, total: int) -> str:
    return f"{count} of {total} ({share(count / total)})" if total else ""
