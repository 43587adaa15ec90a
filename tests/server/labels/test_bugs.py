"""People label bugs: one answer labels all cells, as far as the evidence goes."""

import pytest
from defuse.v1.audit_service_pb2 import (
    REGION_STATE_LABELED,
    REGION_STATE_MIXED,
    REGION_STATE_SET_ASIDE,
    REGION_STATE_UNLABELED,
    Bug,
)
from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict
from defuse_server import redis_keys
from defuse_server.labels import label_set
from defuse_server.labels.bug_labels import purity_bound
from defuse_server.labels.region_label import RegionLabel
from scipy.stats import hypergeom

SEEDS_LABEL, PREDICTED, OTHER = 2, 0, 1
"""Of the published bugs: what their seeds show, what the classifier reads, and another class."""
MIXED = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)


@pytest.fixture
async def audit(publish_audit):
    """An audit of five regions in two bugs; the first shows two of its three cells."""
    return await publish_audit(5, limit=3, cells=[[0, 1, 2], [3, 4]])


@pytest.fixture
def answer(labels):
    """Give an answer to an annotator's next task."""

    async def give(audit, annotator, said):
        (task,) = await labels.lease(audit, annotator, 1, 60.0)
        given = LabelAnswer(label=said) if isinstance(said, int) else said
        return task, await labels.submit(task.region, task.lease_token, given, "")

    return give


async def test_annotators_are_asked_about_bugs(labels, audit):
    tasks = await labels.lease(audit, "ada", 100, 60.0)
    assert [task.region for task in tasks] == [f"{audit}/bugs/0", f"{audit}/bugs/1"]


async def test_a_task_shows_the_sheet_of_its_bug(labels, bugs, audit):
    (task,) = await labels.lease(audit, "ada", 1, 60.0)
    assert task.sheet == (await bugs.get(task.region)).sheet


async def test_one_answer_labels_every_cell(answer, regions, audit):
    await answer(audit, "ada", SEEDS_LABEL)
    assert [region.HasField("label") for region in await regions.all(audit)] == [True] * 3 + [False] * 2


async def test_a_region_names_its_bug(regions, audit):
    assert [region.bug for region in await regions.all(audit)] == [f"{audit}/bugs/0"] * 3 + [
        f"{audit}/bugs/1"
    ] * 2


async def test_a_labeled_bug_is_confirmed_if_the_prediction_is_another(answer, bugs, audit):
    await answer(audit, "ada", SEEDS_LABEL)
    first, second = await bugs.all(audit)
    assert (first.state, first.label, first.confirmed) == (REGION_STATE_LABELED, SEEDS_LABEL, True)
    assert (second.state, second.confirmed) == (REGION_STATE_UNLABELED, False)


async def test_the_cells_that_take_the_label_are_listed(answer, bugs, audit):
    await answer(audit, "ada", SEEDS_LABEL)
    first, second = await bugs.all(audit)
    assert first.labeled_cells == first.cells
    assert not second.labeled_cells


async def test_the_cells_that_were_shown_bound_how_many_bear_the_label(answer, bugs, publish_audit):
    audit = await publish_audit(42, cells=[range(24), range(24, 40), [40, 41]])
    for _ in range(3):
        await answer(audit, "ada", SEEDS_LABEL)
    large, small, whole = await bugs.all(audit)
    # Two of 24 cells were shown. If only 5 bore the label, both would be of these with 10 of 276.
    assert large.purity_bound == pytest.approx(6 / 24)
    assert small.purity_bound == pytest.approx(5 / 16)
    assert whole.purity_bound == 1


@pytest.mark.parametrize(("cells", "shown", "percent"), [(24, 9, 79), (9, 9, 100), (178, 9, 72), (10, 0, 0)])
def test_the_bound_is_exact(cells, shown, percent):
    names = [f"audits/a/regions/{number}" for number in range(cells)]
    bug = Bug(cells=names, shown_cells=names[:shown], seed_label=SEEDS_LABEL)
    label = RegionLabel(REGION_STATE_LABELED, SEEDS_LABEL, 1, 1)
    bound = purity_bound(bug, label)
    assert round(100 * bound) == percent
    other = round(cells * (1 - bound))
    assert hypergeom(cells, other, shown).pmf(0) > 0.05
    assert other == cells or hypergeom(cells, other + 1, shown).pmf(0) <= 0.05


async def test_no_cell_is_said_to_bear_a_label_against_the_seeds(answer, bugs, audit):
    await answer(audit, "ada", OTHER)
    await answer(audit, "ben", OTHER)
    assert [bug.purity_bound for bug in await bugs.all(audit)] == [0, 0]


async def test_a_correction_gets_the_label_of_every_cell(answer, labeling, audit):
    await answer(audit, "ada", SEEDS_LABEL)
    _, pairs = label_set.freeze(await labeling.freeze(audit))
    assert pairs == [(0, 2), (1, 2), (2, 2)]


async def test_one_answer_against_the_seeds_label_does_not_count(answer, bugs, audit):
    _, response = await answer(audit, "ada", OTHER)
    assert (response.state, response.answer_count, response.wanted_count) == (REGION_STATE_UNLABELED, 1, 2)
    assert not (await bugs.get(f"{audit}/bugs/0")).HasField("label")


async def test_another_annotator_who_says_the_same_decides(answer, bugs, audit):
    await answer(audit, "ada", OTHER)
    task, _ = await answer(audit, "ben", OTHER)
    bug = await bugs.get(task.region)
    assert (bug.name, bug.label) == (f"{audit}/bugs/0", OTHER)


async def test_who_answered_against_the_seeds_label_is_asked_again_after_all_others(answer, audit):
    first, _ = await answer(audit, "ada", OTHER)
    second, _ = await answer(audit, "ada", SEEDS_LABEL)
    again, _ = await answer(audit, "ada", OTHER)
    assert [first.region, second.region, again.region] == [
        f"{audit}/bugs/0",
        f"{audit}/bugs/1",
        f"{audit}/bugs/0",
    ]


async def test_an_annotator_who_stays_with_it_decides_alone(answer, bugs, audit):
    for said in (OTHER, SEEDS_LABEL, OTHER):
        await answer(audit, "ada", said)
    assert (await bugs.get(f"{audit}/bugs/0")).label == OTHER


async def test_an_annotator_who_corrects_a_slip_decides_alone(answer, bugs, audit):
    for said in (OTHER, SEEDS_LABEL, SEEDS_LABEL):
        await answer(audit, "ada", said)
    bug = await bugs.get(f"{audit}/bugs/0")
    assert (bug.label, bug.agreement) == (SEEDS_LABEL, 1.0)


async def test_a_slip_that_was_corrected_is_kept(answer, redis, audit):
    for said in (OTHER, SEEDS_LABEL, SEEDS_LABEL):
        await answer(audit, "ada", said)
    task = await redis.hget(redis_keys.label_tasks(audit), "10000000")
    assert b'"withdrawn":[{' in task


async def test_a_label_against_the_seeds_holds_for_the_cells_that_were_shown(answer, bugs, regions, audit):
    await answer(audit, "ada", OTHER)
    await answer(audit, "ben", OTHER)
    bug = await bugs.get(f"{audit}/bugs/0")
    assert bug.labeled_cells == bug.shown_cells == bug.cells[:2]
    assert [region.HasField("label") for region in (await regions.all(audit))[:3]] == [True, True, False]


async def test_both_answers_of_one_annotator_are_taken_back_at_once(answer, labels, bugs, audit):
    for said in (OTHER, SEEDS_LABEL, OTHER):
        await answer(audit, "ada", said)
    await labels.undo(f"{audit}/bugs/0", "ada")
    assert (await bugs.get(f"{audit}/bugs/0")).state == REGION_STATE_UNLABELED


async def test_annotators_who_never_agree_set_a_bug_aside(publish_audit, answer, bugs):
    audit = await publish_audit(1, limit=3, cells=[[0]])
    for annotator, said in (("ada", OTHER), ("ben", PREDICTED), ("cem", SEEDS_LABEL)):
        await answer(audit, annotator, said)
    assert (await bugs.get(f"{audit}/bugs/0")).state == REGION_STATE_SET_ASIDE


async def test_a_mixed_bug_waits_for_its_split(answer, bugs, redis, audit):
    await answer(audit, "ada", MIXED)
    assert (await bugs.get(f"{audit}/bugs/0")).state == REGION_STATE_MIXED
    assert await redis.smembers(redis_keys.LABEL_MIXED) == {f"{audit}/bugs/0".encode()}


async def test_progress_counts_bugs_and_their_cells(answer, labeling, audit):
    await answer(audit, "ada", SEEDS_LABEL)
    progress = await labeling.progress(audit)
    assert (progress.bug_count, progress.open_bug_count) == (2, 1)
    assert (progress.labeled_bug_count, progress.confirmed_bug_count) == (1, 1)
    assert (progress.region_count, progress.labeled_count, progress.confirmed_count) == (5, 3, 3)


async def test_without_bugs_regions_are_labeled_one_by_one(publish_audit, labels, labeling):
    audit = await publish_audit(2)
    tasks = await labels.lease(audit, "ada", 100, 60.0)
    assert [task.region for task in tasks] == [f"{audit}/regions/0", f"{audit}/regions/1"]
    assert (await labeling.progress(audit)).bug_count == 0


async def test_labels_against_the_seeds_are_named_in_the_report(answer, labeling, audit):
    for annotator in ("ada", "ben"):
        await answer(audit, annotator, OTHER)
    await answer(audit, "cem", SEEDS_LABEL)
    assert list((await labeling.report(audit)).contradicting) == [f"{audit}/bugs/0"]
