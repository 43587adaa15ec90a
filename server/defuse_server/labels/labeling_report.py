"""The labeling report: the annotators' agreement, and each annotator's record."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from defuse.v1.audit_service_pb2 import RegionState
from defuse.v1.label_service_pb2 import AnnotatorRecord, LabelingProgress, LabelingReport, LabelSkip

from defuse_server.labels.agreement import krippendorff_alpha
from defuse_server.labels.answers import KeptAnswer, KeptTask
from defuse_server.labels.region_label import RegionLabel
from defuse_server.names import task_name

_VERDICT_STATES = {
    RegionState.REGION_STATE_MIXED: "mixed",
    RegionState.REGION_STATE_INVALID: "invalid",
}


def labeling_report(
    audit: str, tasks: Sequence[KeptTask], labels: Mapping[int, RegionLabel], progress: LabelingProgress
) -> LabelingReport:
    """Return the report of an audit, made from its tasks, including gold tasks."""
    regions = [task for task in tasks if task.gold is None]
    # Who is asked again may answer twice, and counts once.
    votes = [
        list({answer.annotator: answer.vote for answer in task.answers if not answer.abstains}.values())
        for task in regions
    ]
    report = LabelingReport(
        progress=progress,
        overlap_count=sum(len(given) >= 2 for given in votes),
        answer_count=sum(len(task.answers) for task in regions),
        annotators=_records(tasks, labels),
        skips=[skip for task in tasks for skip in _skips(audit, task)],
        contradicting=[task_name(audit, task.number) for task in regions if _contradicts(task, labels)],
    )
    alpha = krippendorff_alpha(votes)
    if alpha is not None:
        report.alpha = alpha
    return report


def _records(tasks: Sequence[KeptTask], labels: Mapping[int, RegionLabel]) -> list[AnnotatorRecord]:
    records: dict[str, AnnotatorRecord] = {}
    answers: dict[str, list[KeptAnswer]] = defaultdict(list)

    def of(annotator: str) -> AnnotatorRecord:
        return records.setdefault(annotator, AnnotatorRecord(annotator=annotator))

    for task in tasks:
        consensus = _consensus(labels.get(task.number))
        for answer in task.answers:
            _count(of(answer.annotator), answer, task.gold, consensus)
            answers[answer.annotator].append(answer)
        for skip in task.skips:
            of(skip.annotator).skip_count += 1
    for annotator, given in answers.items():
        durations_s = list(_durations_s(given))
        records[annotator].median_answer_s = statistics.median(durations_s) if durations_s else 0.0
    return [records[annotator] for annotator in sorted(records)]


def _count(record: AnnotatorRecord, answer: KeptAnswer, gold: str | None, consensus: str | None) -> None:
    if gold is not None:
        record.gold_count += 1
        record.gold_right_count += answer.vote == gold
        return
    record.answer_count += 1
    record.cannot_tell_count += answer.abstains
    if consensus is not None and not answer.abstains:
        record.compared_count += 1
        record.agreed_count += answer.vote == consensus


def _consensus(label: RegionLabel | None) -> str | None:
    """Return the vote that a region's annotators agreed on, or None."""
    if label is None:
        return None
    return str(label.label) if label.label is not None else _VERDICT_STATES.get(label.state)


def _contradicts(task: KeptTask, labels: Mapping[int, RegionLabel]) -> bool:
    label = labels.get(task.number)
    return task.expected is not None and label is not None and label.confirms(int(task.expected))


def _durations_s(answers: Iterable[KeptAnswer]) -> Iterator[float]:
    """Yield the duration of each answer. Tasks that are leased together are answered one after the other.

    Imported answers are left out: their durations are unknown.
    """
    before_ms = 0
    here = [answer for answer in answers if answer.lease_ms]
    for answer in sorted(here, key=lambda answer: answer.time_ms):
        yield (answer.time_ms - max(before_ms, answer.lease_ms)) / 1000
        before_ms = answer.time_ms


def _skips(audit: str, task: KeptTask) -> Iterator[LabelSkip]:
    for kept in task.skips:
        skip = LabelSkip(region=task_name(audit, task.number), annotator=kept.annotator, reason=kept.reason)
        skip.time.FromMilliseconds(kept.time_ms)
        yield skip
