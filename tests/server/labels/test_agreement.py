"""Annotators' agreement and records."""

import asyncio
import itertools
from typing import Any

import pytest
from defuse.v1.label_service_pb2 import LabelAnswer, LabelingReport, LabelVerdict
from defuse_server.errors import NotFound
from defuse_server.findings.regions import Regions
from defuse_server.labels.agreement import krippendorff_alpha
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.names import parse_region_name

X = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_CANNOT_TELL)
M = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)


def a(label: int) -> LabelAnswer:
    return LabelAnswer(label=label)


@pytest.mark.parametrize(
    ("observers", "alpha"),
    [
        # K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), sections A and C.
        (("0100000010", "1110010000"), 0.095),
        (("123321412...", "1233224125.3", ".3332342251.", "1233244125" + "1."), 0.743),
    ],
)
def test_alpha_of_published_examples(observers: tuple[str, ...], alpha: float) -> None:
    units = [[value for value in values if value != "."] for values in zip(*observers, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(alpha, abs=0.0005)


def test_alpha_is_one_where_all_agree_and_unknown_where_nothing_can_be_said() -> None:
    assert krippendorff_alpha([["0", "0"], ["1", "1", "1"], ["2"]]) == 1
    assert krippendorff_alpha([["0", "0"], ["0", "0"]]) is None
    assert krippendorff_alpha([["0"], ["1"], []]) is None
    assert krippendorff_alpha([]) is None
    # Worse than chance.
    assert (krippendorff_alpha([["0", "1"]] * 5) or 0) < 0


async def answer_in_turn(labels: LabelQueue, audit: str, annotator: str, *answers: LabelAnswer) -> None:
    for given in answers:
        (task,) = await labels.lease(audit, annotator, 1, 60)
        await labels.submit(task.region, task.lease_token, given, "")


@pytest.fixture
async def report(labels: LabelQueue, labeling: Labeling, publish_audit: Any) -> LabelingReport:
    """Of four regions: the votes 000, 112 and MM1, and of the last one cannot tell and a skip."""
    audit = await publish_audit(4, wanted=3)
    await answer_in_turn(labels, audit, "ann", a(0), a(1), M, X)
    await answer_in_turn(labels, audit, "ben", a(0), a(1), M)
    (skipped,) = await labels.lease(audit, "ben", 1, 60)
    await labels.skip(skipped.region, skipped.lease_token, "too <b>dark</b>")
    await answer_in_turn(labels, audit, "cem", a(0), a(2), a(1))
    return await labeling.report(audit)


def test_the_report_counts_what_each_annotator_did(report: LabelingReport) -> None:
    counted = {
        one.annotator: (one.answer_count, one.cannot_tell_count, one.skip_count) for one in report.annotators
    }
    assert counted == {"ann": (4, 1, 0), "ben": (3, 0, 1), "cem": (3, 0, 0)}


def test_the_report_compares_each_annotator_with_the_consensus(report: LabelingReport) -> None:
    compared = {one.annotator: (one.compared_count, one.agreed_count) for one in report.annotators}
    assert compared == {"ann": (3, 3), "ben": (3, 3), "cem": (3, 1)}


def test_the_report_has_every_skip_with_its_reason(report: LabelingReport) -> None:
    (skip,) = report.skips
    assert (parse_region_name(skip.region)[1], skip.annotator, skip.reason) == (3, "ben", "too <b>dark</b>")
    assert skip.time.seconds > 0


async def test_the_report_tells_agreement_and_progress(report: LabelingReport, labeling: Labeling) -> None:
    assert (report.answer_count, report.overlap_count) == (10, 3)
    assert report.alpha == pytest.approx(krippendorff_alpha(["000", "112", "MM1"]))
    audit, _ = parse_region_name(report.skips[0].region)
    assert report.progress == await labeling.progress(audit)


async def test_agreement_is_the_share_of_the_votes_for_the_consensus(
    labels: LabelQueue, regions: Regions, publish_audit: Any
) -> None:
    audit = await publish_audit(2, wanted=3)
    for annotator, given in (("ann", a(1)), ("ben", a(1)), ("cem", a(2))):
        await answer_in_turn(labels, audit, annotator, given)
    await answer_in_turn(labels, audit, "ann", X)
    first, second = await regions.range(audit, 0, 2)
    assert first.agreement == pytest.approx(2 / 3)
    assert second.agreement == 0


async def test_the_time_of_an_answer_counts_from_the_lease_or_from_the_answer_before(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(3)
    tasks = await labels.lease(audit, "ann", 3, 60)
    for task in tasks:
        await asyncio.sleep(0.3)
        await labels.submit(task.region, task.lease_token, a(1), "")
    (record,) = (await labeling.report(audit)).annotators
    taken = await labeling.tasks(audit)
    between = [
        after.answers[0].time_ms - before.answers[0].time_ms for before, after in itertools.pairwise(taken)
    ]
    first = taken[0].answers[0].time_ms - taken[0].answers[0].lease_ms
    assert record.median_answer_s == sorted([first, *between])[1] / 1000
    # The last was leased three such times ago.
    assert record.median_answer_s >= 0.29


async def test_reports_of_nothing(labeling: Labeling, publish_audit: Any) -> None:
    audit = await publish_audit(2)
    report = await labeling.report(audit)
    assert (report.progress.region_count, report.answer_count, len(report.annotators)) == (2, 0, 0)
    assert not report.HasField("alpha")
    with pytest.raises(NotFound):
        await labeling.report("audits/00000000000000000a")
