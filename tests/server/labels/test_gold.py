"""Gold tasks look like regions, and tell of annotators alone."""

from typing import Any

import pytest
from defuse.v1.audit_service_pb2 import RegionState
from defuse.v1.label_service_pb2 import LabelAnswer, LabelTask, LabelVerdict
from defuse.v1.models_pb2 import ContactSheet
from defuse_server.errors import NotFound
from defuse_server.findings.regions import Regions
from defuse_server.labels.gold import is_gold
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import GoldSheets, LabelQueue
from defuse_server.names import parse_task_name

UNLABELED = RegionState.REGION_STATE_UNLABELED
LABELED = RegionState.REGION_STATE_LABELED


def golds(count: int) -> list[GoldSheets]:
    """Gold tasks of class 1."""
    return [
        GoldSheets(
            label=1,
            sheet=ContactSheet(artifact=f"artifacts/{10 + n:064x}", columns=4, rows=4, count=16),
            nearest_sheet=ContactSheet(artifact=f"artifacts/{20 + n:064x}", columns=4, rows=4, count=16),
        )
        for n in range(count)
    ]


def number_of(task: LabelTask) -> int:
    return parse_task_name(task.region)[1]


def gold_ones(tasks: list[LabelTask]) -> list[LabelTask]:
    return [task for task in tasks if is_gold(number_of(task))]


async def test_they_are_mixed_in_at_their_rate_each_once_and_never_alone(
    labels: LabelQueue, publish_audit: Any
) -> None:
    audit = await publish_audit(60, wanted=1, gold_rate=0.3)
    await labels.open_gold(audit, golds(30))
    tasks = [task for _ in range(12) for task in await labels.lease(audit, "ann", 5, 60)]
    mixed_in = gold_ones(tasks)
    # 60 tasks at 0.3: 18 on average, within five standard deviations.
    assert len(tasks) == 60
    assert 1 <= len(mixed_in) <= 35
    assert len({task.region for task in tasks}) == 60
    # Those that are left, and then there is nothing, however many gold tasks are left.
    while rest := await labels.lease(audit, "ann", 5, 60):
        tasks += rest
    regions = [task for task in tasks if not is_gold(number_of(task))]
    assert [number_of(task) for task in regions] == list(range(60))
    assert not is_gold(number_of(tasks[-1]))


async def test_without_a_rate_there_are_none(labels: LabelQueue, publish_audit: Any) -> None:
    audit = await publish_audit(20)
    await labels.open_gold(audit, golds(10))
    assert gold_ones(await labels.lease(audit, "ann", 100, 60)) == []


async def test_an_annotator_can_not_tell_them_from_regions(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any, regions: Regions, redis: Any
) -> None:
    audit = await publish_audit(40, wanted=1, gold_rate=0.5)
    await labels.open_gold(audit, golds(1))
    seen: dict[str, list[tuple[Any, ...]]] = {"gold": [], "region": []}
    for annotator, verdict in (("ann", None), ("ben", LabelVerdict.LABEL_VERDICT_MIXED)):
        for task in await labels.lease(audit, annotator, 20, 60):
            answer = LabelAnswer(label=1) if verdict is None else LabelAnswer(verdict=verdict)
            first = await labels.submit(task.region, task.lease_token, answer, "")
            again = await labels.submit(task.region, task.lease_token, answer, "")
            assert first == again
            shown = await labeling.sheets(task.region)
            kind = "gold" if is_gold(number_of(task)) else "region"
            fields = (
                sorted(field.name for field, _ in task.ListFields()),
                sorted(field.name for field, _ in task.sheet.ListFields()),
                (task.state, task.answer_count, task.wanted_count),
                (annotator, first.state, first.answer_count, first.wanted_count),
                sorted(field.name for field, _ in shown.ListFields() if field.name != "nearest_sheet"),
            )
            seen[kind].append(fields)
            assert await labels.undo(task.region, annotator) == UNLABELED
            (held,) = [
                one for one in await labels.lease(audit, annotator, 100, 60) if one.region == task.region
            ]
            assert await labels.skip(held.region, held.lease_token, "unclear") == UNLABELED
            for other in await labels.lease(audit, annotator, 100, 60):
                await labels.release(other.region, other.lease_token)
    if seen["gold"]:
        assert all(fields in seen["region"] for fields in seen["gold"])
    for name in (task.region for task in gold_ones(await labels.lease(audit, "dan", 40, 60))):
        with pytest.raises(NotFound):
            await regions.get(name)


async def test_one_shows_as_many_answers_as_the_region_in_whose_place_it_comes(
    labels: LabelQueue, publish_audit: Any
) -> None:
    audit = await publish_audit(40, wanted=3, gold_rate=0.5)
    await labels.open_gold(audit, golds(30))
    for annotator in ("ann", "ben"):
        while tasks := await labels.lease(audit, annotator, 10, 60):
            for task in tasks:
                await labels.submit(task.region, task.lease_token, LabelAnswer(label=2), "")
    tasks = await labels.lease(audit, "cem", 20, 60)
    mixed_in = gold_ones(tasks)
    assert {(task.answer_count, task.wanted_count) for task in tasks} == {(2, 3)}
    for task in mixed_in:
        response = await labels.submit(task.region, task.lease_token, LabelAnswer(label=1), "")
        # Two said 2 to those regions, so that one more does not change it.
        assert (response.state, response.answer_count, response.wanted_count) == (LABELED, 3, 3)
    assert len(mixed_in) > 0


@pytest.fixture
async def answered(labels: LabelQueue, publish_audit: Any) -> tuple[str, dict[str, int]]:
    """An audit of 30 regions, and how many gold tasks each annotator has answered there; no region is."""
    audit = await publish_audit(30, wanted=1, limit=3, gold_rate=0.5)
    await labels.open_gold(audit, golds(6))
    counts = {"careful": 0, "careless": 0}
    while sum(counts.values()) < 8:
        for annotator, label in (("careful", 1), ("careless", 2)):
            for task in await labels.lease(audit, annotator, 1, 60):
                if is_gold(number_of(task)):
                    await labels.submit(task.region, task.lease_token, LabelAnswer(label=label), "")
                    counts[annotator] += 1
                else:
                    await labels.skip(task.region, task.lease_token, "")
        if not await labels.lease(audit, "careful", 1, 60):
            break
    return audit, counts


async def test_their_answers_stand_in_each_annotators_record(
    labeling: Labeling, answered: tuple[str, dict[str, int]]
) -> None:
    audit, counts = answered
    records = {record.annotator: record for record in (await labeling.report(audit)).annotators}
    assert {annotator: records[annotator].gold_count for annotator in counts} == counts
    assert records["careful"].gold_right_count == counts["careful"]
    assert records["careless"].gold_right_count == 0


async def test_their_answers_are_no_answers_to_regions(
    labeling: Labeling, answered: tuple[str, dict[str, int]]
) -> None:
    report = await labeling.report(answered[0])
    assert (report.answer_count, report.HasField("alpha")) == (0, False)
    assert {record.answer_count for record in report.annotators} == {0}
    assert {label.answers for label in (await labeling.labels(answered[0])).values()} == {0}


async def test_they_are_no_regions(labeling: Labeling, answered: tuple[str, dict[str, int]]) -> None:
    audit, _ = answered
    assert (await labeling.progress(audit)).region_count == 30
    assert set(await labeling.freeze(audit)) == set(range(30))
    listed, _ = await labeling.list(audit, 100, "")
    assert gold_ones(listed) == []


async def test_opening_them_again_changes_nothing(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(5, gold_rate=0.5)
    await labels.open_gold(audit, golds(4))
    before = await labeling.tasks(audit)
    await labels.open_gold(audit, golds(4))
    assert await labeling.tasks(audit) == before
    assert sum(task.gold is not None for task in before) == 4
