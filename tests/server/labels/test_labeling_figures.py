"""How far the labels go that a candidate is held to."""

import pytest
from defuse.v1.audit_service_pb2 import Bug, Region, RegionState
from defuse.v1.label_service_pb2 import LabelAnswer, LabelingReport, LabelVerdict
from defuse.v1.models_pb2 import Interval
from defuse_server.labels.labeling_figures import labeling_figures

STATES = RegionState.DESCRIPTOR.values_by_name


def bug(number: int, state: str, harm: float, **fields) -> Bug:
    return Bug(
        name=f"audits/a/bugs/{number}",
        state=STATES[f"REGION_STATE_{state}"].number,
        harm=Interval(value=harm),
        **fields,
    )


def region(number: int, state: str, harm: float, **fields) -> Region:
    return Region(
        name=f"audits/a/regions/{number}",
        state=STATES[f"REGION_STATE_{state}"].number,
        harm=Interval(value=harm),
        **fields,
    )


def test_unlabeled_are_those_that_annotators_have_not_settled():
    figures = labeling_figures(
        [
            region(0, "UNLABELED", 1.0),
            region(1, "LEASED", 2.0),
            region(2, "LABELED", 4.0),
            region(3, "MIXED", 3.0),  # waits for its split
            region(4, "MIXED", 5.0, unsplit_reason="too few codes"),
            region(5, "INVALID", 6.0),
            region(6, "SET_ASIDE", 7.0),
            region(7, "MIXED", 100.0, parts=["audits/a/regions/8"]),  # its part stands for it
            region(8, "UNLABELED", 2.0),
        ],
        [],
        LabelingReport(overlap_count=3, alpha=0.75),
    )
    assert (figures.region_count, figures.unlabeled_count) == (8, 4)
    assert figures.unlabeled_harm_share == pytest.approx(8 / 30)
    assert list(figures.unlabeled) == [f"audits/a/regions/{number}" for number in (3, 1, 8, 0)]
    assert (figures.alpha, figures.overlap_count) == (0.75, 3)


def test_if_there_are_bugs_they_are_counted_instead_of_regions():
    figures = labeling_figures(
        [region(0, "UNLABELED", 1.0), region(1, "LABELED", 1.0)],
        [bug(0, "LABELED", 3.0), bug(1, "LEASED", 1.0), bug(2, "MIXED", 9.0, parts=["audits/a/bugs/1"])],
        LabelingReport(),
    )
    assert (figures.region_count, figures.bug_count, figures.unlabeled_count) == (2, 2, 1)
    assert figures.unlabeled_harm_share == pytest.approx(0.25)
    assert list(figures.unlabeled) == ["audits/a/bugs/1"]


def test_bugs_whose_verified_proposal_is_used_are_not_unlabeled():
    bugs = [bug(0, "LABELED", 3.0), bug(1, "UNLABELED", 1.0), bug(2, "UNLABELED", 2.0)]
    figures = labeling_figures([], bugs, LabelingReport(), ["audits/a/bugs/2"])
    assert (figures.bug_count, figures.unlabeled_count, figures.proposal_count) == (3, 1, 1)
    assert figures.unlabeled_harm_share == pytest.approx(1 / 6)
    assert list(figures.unlabeled) == ["audits/a/bugs/1"]


def test_no_more_than_ten_are_named_the_most_harmful_ones():
    regions = [region(number, "UNLABELED", number / 100) for number in range(30)]
    figures = labeling_figures(regions, [], LabelingReport())
    assert figures.unlabeled_count == 30
    assert list(figures.unlabeled) == [f"audits/a/regions/{number}" for number in range(29, 19, -1)]
    assert not figures.HasField("alpha")


def test_where_no_harm_could_be_estimated_each_region_counts_alike():
    regions = [region(0, "UNLABELED", 0.0), region(1, "LABELED", 0.0), region(2, "LABELED", 0.0)]
    figures = labeling_figures(regions, [], LabelingReport())
    assert figures.unlabeled_harm_share == pytest.approx(1 / 3)
    assert labeling_figures([], [], LabelingReport()).unlabeled_harm_share == 0


async def test_they_follow_the_queue(publish_audit, regions, labels, labeling):
    audit = await publish_audit(4, wanted=2, harms=[0.4, 0.3, 0.2, 0.1])

    async def answer(annotator: str, answers) -> None:
        tasks = await labels.lease(audit, annotator, len(answers), 60.0)
        for task, given in zip(tasks, answers, strict=True):
            await labels.submit(task.region, task.lease_token, given, "")

    mixed = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)
    await answer("ada", [LabelAnswer(label=1), mixed, LabelAnswer(label=2)])
    await answer("bob", [LabelAnswer(label=1), mixed, LabelAnswer(label=1)])
    figures = labeling_figures(await regions.all(audit), [], await labeling.report(audit))
    # The second is MIXED and waits for its split, the third has no majority, nobody has seen the last.
    assert [int(name.rpartition("/")[2]) for name in figures.unlabeled] == [1, 3]
    assert figures.region_count == 4
    assert figures.unlabeled_harm_share == pytest.approx(0.4)
    assert figures.overlap_count == 3
    assert figures.alpha == pytest.approx((await labeling.report(audit)).alpha)


async def test_a_large_audit_is_read_in_few_commands(publish_audit, redis, regions, labeling):
    audit = await publish_audit(900)
    before = (await redis.info("stats"))["total_commands_processed"]
    figures = labeling_figures(await regions.all(audit), [], await labeling.report(audit))
    # Scripts' own commands count, too; none is for a single region.
    assert (await redis.info("stats"))["total_commands_processed"] - before < 40
    assert figures.unlabeled_count == 900
