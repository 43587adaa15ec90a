"""The outlook says what the labels correct, what more answers would, and when to stop."""

import pytest
from defuse.v1.audit_service_pb2 import (
    REGION_STATE_INVALID,
    REGION_STATE_LABELED,
    REGION_STATE_MIXED,
    REGION_STATE_SET_ASIDE,
    REGION_STATE_UNLABELED,
    Audit,
    AuditConfig,
    Bug,
    PreflightFigures,
)
from defuse.v1.label_service_pb2 import LabelAnswer, LabelingOutlook
from defuse.v1.models_pb2 import Interval
from defuse_server.labels.outlook import outlook
from defuse_server.labels.proposals import proposals
from defuse_server.labels.region_label import RegionLabel
from defuse_server.names import FIRST_BUG

SEEDS_LABEL, PREDICTED, OTHER = 2, 0, 1
AUDIT, ACCURACY = f"audits/{'0' * 18}", 0.9


def bug(number: int, harm: float, believed: float, **fields) -> Bug:
    cells = [f"{AUDIT}/regions/{cell}" for cell in range(4 * number, 4 * number + 4)]
    return Bug(
        name=f"{AUDIT}/bugs/{number}",
        cells=cells,
        shown_cells=cells[:1],
        seed_label=SEEDS_LABEL,
        predicted_class=PREDICTED,
        harm=Interval(value=harm),
        label_probability=believed,
        **fields,
    )


def answered(state=REGION_STATE_LABELED, label=SEEDS_LABEL, answers=1) -> RegionLabel:
    return RegionLabel(state, label, answers, 1)


def states(bugs, labels, wanted: int = 1) -> dict[int, RegionLabel]:
    """Return the states of the tasks of bugs, of which some have labels, by number."""
    unlabeled = RegionLabel(REGION_STATE_UNLABELED, None, 0, wanted)
    return {FIRST_BUG + number: labels.get(number, unlabeled) for number in range(len(bugs))}


def audit(wanted: int = 1) -> Audit:
    return Audit(
        name=AUDIT,
        preflight=PreflightFigures(classifier_accuracy=ACCURACY),
        config=AuditConfig(annotators_per_region=wanted),
    )


def seen(bugs, labels=None, wanted: int = 1) -> LabelingOutlook:
    return outlook(audit(wanted), bugs, states(bugs, labels or {}, wanted))


def test_before_the_first_answer_nothing_is_corrected():
    found = seen([bug(0, 0.02, 0.5), bug(1, 0.01, 0.8)])
    assert (found.accuracy, found.second_search_ratio) == (ACCURACY, 1.0)
    gain = 0.02 * 0.5 + 0.01 * 0.8
    assert found.accuracy_next == pytest.approx(ACCURACY + gain)
    assert found.second_search_ratio_next == pytest.approx(1 - gain / 0.03)
    assert (found.stop, found.answers_left) == (False, 2)
    assert found.sentence == (
        "Go on: the next 2 answers are expected to correct a further 60% of what the search found."
    )


def test_a_label_of_people_corrects_its_bug():
    found = seen([bug(0, 0.03, 0.5), bug(1, 0.01, 0.5)], {0: answered()})
    assert found.accuracy == pytest.approx(ACCURACY + 0.03)
    assert found.second_search_ratio == pytest.approx(0.25)
    assert found.labeled_bug_count == 1


def test_a_label_that_the_readers_do_not_see_corrects_the_cells_that_were_shown():
    found = seen([bug(0, 0.04, 0.5)], {0: answered(label=OTHER, answers=2)})
    assert found.accuracy == pytest.approx(ACCURACY + 0.01)


@pytest.mark.parametrize(
    "label",
    [
        answered(label=PREDICTED, answers=2),
        answered(REGION_STATE_INVALID, None),
        answered(REGION_STATE_MIXED, None),
        answered(REGION_STATE_SET_ASIDE, None),
    ],
    ids=["no bug", "invalid", "mixed", "set aside"],
)
def test_an_answer_that_confirms_no_bug_corrects_nothing(label):
    found = seen([bug(0, 0.04, 0.5)], {0: label})
    assert (found.accuracy, found.second_search_ratio) == (ACCURACY, 1.0)
    assert found.stop
    assert found.sentence == (
        "Stop here: nothing is left to ask. Of what the search found, 0.0% is corrected by the labels."
    )


def test_parts_stand_for_a_bug_that_was_split():
    bugs = [bug(0, 0.04, 0.5), *(bug(number, 0.02, 0.5, parent=f"{AUDIT}/bugs/0") for number in (1, 2))]
    found = seen(bugs, {0: answered(REGION_STATE_MIXED, None), 1: answered()})
    assert found.second_search_ratio == pytest.approx(0.5)


def test_stop_if_the_next_answers_hardly_correct_more():
    bugs = [bug(0, 0.1, 0.5), *(bug(number, 1e-5, 0.5) for number in range(1, 40))]
    found = seen(bugs, {0: answered()})
    assert found.stop
    assert found.sentence.startswith("Stop here: of what the search found, 100% is corrected")
    assert "the next 10 answers would add 0.1%" in found.sentence
    assert not seen(bugs).stop


def test_several_annotators_answer_fewer_bugs():
    bugs = [bug(number, 0.001, 0.5) for number in range(40)]
    one, three = seen(bugs), seen(bugs, wanted=3)
    assert one.accuracy_next - ACCURACY == pytest.approx(10 * 0.001 * 0.5)
    assert three.accuracy_next - ACCURACY == pytest.approx(10 / 3 * 0.001 * 0.5)
    assert three.answers_left == 120


def test_verified_proposals_count_with_the_probability_that_they_are_right():
    bugs = [bug(number, 0.0001, 0.95) for number in range(178)]
    sample = proposals(audit(), bugs, states(bugs, {})).verification.missing
    labels = dict.fromkeys(sample, answered())
    known = proposals(audit(), bugs, states(bugs, labels))
    found = seen(bugs, labels)
    assert found.verified
    assert (found.labeled_bug_count, found.proposal_count) == (69, 178 - 69)
    right = known.recalibration(0.95)
    assert 0.95 < right < 1
    assert found.accuracy == pytest.approx(ACCURACY + 69 * 0.0001 + (178 - 69) * 0.0001 * right)
    # An answer is worth only what the proposal gets wrong.
    gain = found.second_search_ratio - found.second_search_ratio_next
    assert gain == pytest.approx(10 / 178 * (1 - right))
    assert found.stop
    assert found.verification.startswith("109 bugs that nobody answered take the label")


def test_the_last_answers_that_verify_the_proposals_bring_them_all():
    bugs = [bug(number, 0.0001, 0.95) for number in range(178)]
    sample = proposals(audit(), bugs, states(bugs, {})).verification.missing
    found = seen(bugs, dict.fromkeys(sample[:-1], answered()))
    assert found.answers_to_verify == 1
    assert found.second_search_ratio == pytest.approx(1 - 68 / 178)
    assert found.second_search_ratio_next < 0.1


def test_go_on_if_the_sample_promises_more_than_the_next_answers():
    # None of the small bugs is worth an answer alone; together they are three in ten of what was found.
    bugs = [*(bug(number, 0.0001, 0.99) for number in range(178)), bug(178, 0.0415, 0.5)]
    found = seen(bugs, {178: answered()})
    assert found.second_search_ratio - found.second_search_ratio_next < 0.02
    assert not found.stop
    assert found.sentence.startswith("Go on: 69 answers about a random sample are expected to correct")
    assert "No proposal of the search is used as a label" in found.verification


async def test_annotators_get_the_advice_of_the_report(publish_audit, labels, labeling):
    name = await publish_audit(3, cells=[[0], [1], [2]], label_probability=0.8)
    (task,) = await labels.lease(name, "ada", 1, 60.0)
    await labels.submit(task.region, task.lease_token, LabelAnswer(label=SEEDS_LABEL), "")
    report = await labeling.report(name)
    assert report.outlook.labeled_bug_count == 1
    assert report.outlook.answers_left == 2
    assert await labeling.advice(name) == report.outlook.sentence != ""
    assert await labeling.advice(await publish_audit(2)) == ""
