import asyncio
import uuid
from typing import Any

import pytest
from defuse.v1.audit_service_pb2 import AuditConfig, LabelingConfig, RegionState
from defuse.v1.label_service_pb2 import LabelAnswer, LabelTask, LabelVerdict
from defuse.v1.registry_service_pb2 import Vae
from defuse_server import redis_keys
from defuse_server.errors import (
    InvalidRequest,
    LabelUnknown,
    LeaseLost,
    NotFound,
    PageTokenInvalid,
    RegionClosed,
)
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.labeling_rule import labeling_rule
from defuse_server.labels.queue import LabelQueue
from defuse_server.names import parse_region_name, region_name
from defuse_server.records.creation import NewResource
from defuse_server.records.resources import Resources
from redis.asyncio import Redis

UNLABELED = RegionState.REGION_STATE_UNLABELED
LEASED = RegionState.REGION_STATE_LEASED
LABELED = RegionState.REGION_STATE_LABELED
MIXED = RegionState.REGION_STATE_MIXED
INVALID = RegionState.REGION_STATE_INVALID
SET_ASIDE = RegionState.REGION_STATE_SET_ASIDE

M = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)
I = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_INVALID)  # noqa: E741 - beside M and X it is plain
X = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_CANNOT_TELL)

SHORT_S = 0.5
"""Of a lease that shall end within the test, and not before its next line on a busy machine."""


def a(label: int) -> LabelAnswer:
    return LabelAnswer(label=label)


def number_of(task: LabelTask) -> int:
    return parse_region_name(task.region)[1]


async def lease_one(labels: LabelQueue, audit: str, annotator: str, lease_s: float = 60) -> LabelTask:
    (task,) = await labels.lease(audit, annotator, 1, lease_s)
    return task


async def answer(labels: LabelQueue, audit: str, annotator: str, given: LabelAnswer) -> RegionState:
    task = await lease_one(labels, audit, annotator)
    return (await labels.submit(task.region, task.lease_token, given, "")).state


async def test_a_task_shows_the_samples_and_the_classes_and_not_the_prediction(
    labels: LabelQueue, publish_audit: Any
) -> None:
    audit = await publish_audit(1, predicted_class=1)
    task = await lease_one(labels, audit, "ann")
    assert task.region == region_name(audit, 0)
    assert task.sheet.count == 16
    assert list(task.class_names) == ["class 0", "class 1", "class 2"]
    assert (task.state, task.answer_count, task.wanted_count) == (LEASED, 0, 1)
    assert task.lease_token
    assert {field.name for field, _ in task.ListFields()} == {
        *("region", "sheet", "class_names", "lease_token", "lease_expire_time", "state", "wanted_count")
    }


async def test_tasks_come_in_the_order_of_the_regions(labels: LabelQueue, publish_audit: Any) -> None:
    audit = await publish_audit(12)
    tasks = await labels.lease(audit, "ann", 11, 60)
    assert [number_of(task) for task in tasks] == list(range(11))
    assert number_of(await lease_one(labels, audit, "ben")) == 11
    assert await labels.lease(audit, "cem", 5, 60) == []


async def test_the_largest_expected_harm_comes_first_whatever_its_number(
    labels: LabelQueue, publish_audit: Any
) -> None:
    # Harms are tiny numbers, and regions that were split come with high numbers.
    audit = await publish_audit(5, harms=[1e-9, 3e-300, 2e-9, 0.0, 5e-9])
    tasks = await labels.lease(audit, "ann", 5, 60)
    assert [number_of(task) for task in tasks] == [4, 2, 0, 1, 3]


@pytest.mark.parametrize(
    ("wanted", "limit", "answers", "state", "asked"),
    [
        (2, 4, [a(1), a(2)], UNLABELED, 3),
        (2, 4, [a(1), a(2), a(1)], LABELED, 3),
        (2, 4, [a(1), a(2), M, a(0)], SET_ASIDE, 4),
        (1, 3, [X], UNLABELED, 2),
        (1, 3, [X, a(1)], LABELED, 2),
        (1, 3, [X, X, X], SET_ASIDE, 3),
        # One voice among three: too few to say so, until nobody more may be asked.
        (3, 5, [a(1), X, X], UNLABELED, 4),
        (3, 5, [a(1), X, X, a(1)], LABELED, 4),
        (3, 4, [a(1), X, X, X], LABELED, 4),
        (3, 5, [a(1), a(1), X], LABELED, 3),
        (1, 1, [X], SET_ASIDE, 1),
    ],
)
async def test_ties_and_few_votes_ask_for_one_more_annotator_up_to_the_limit(
    labels: LabelQueue,
    labeling: Labeling,
    publish_audit: Any,
    wanted: int,
    limit: int,
    answers: list[LabelAnswer],
    state: int,
    asked: int,
) -> None:
    audit = await publish_audit(1, wanted=wanted, limit=limit)
    for n, given in enumerate(answers):
        await answer(labels, audit, f"annotator {n}", given)
    standing = (await labeling.labels(audit))[0]
    assert (standing.state, standing.wanted) == (state, asked)
    # One more, and one alone.
    more = [await labels.lease(audit, f"other {n}", 1, 60) for n in range(3)]
    assert sum(map(len, more)) == asked - len(answers)
    assert (await labeling.progress(audit)).set_aside_count == (state == SET_ASIDE)


async def test_by_default_two_more_than_wanted_are_asked(
    labels: LabelQueue, resources: Resources, publish_audit: Any
) -> None:
    assert labeling_rule(AuditConfig()).wanted == 1
    assert labeling_rule(AuditConfig()).limit == 3
    assert labeling_rule(AuditConfig(annotators_per_region=3)).limit == 5
    assert labeling_rule(AuditConfig()).gold_rate == 0
    # A region that is opened later, for more annotators than the audit's limit, can still be decided.
    limited = AuditConfig(annotators_per_region=1, labeling=LabelingConfig(max_annotators_per_region=2))
    assert labeling_rule(limited, 4).limit == 4


async def test_a_skipped_task_goes_to_others_alone_and_the_same_skip_again_is_the_same(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(1, wanted=2)
    task = await lease_one(labels, audit, "ann")
    assert await labels.skip(task.region, task.lease_token, "blurred") == UNLABELED
    assert await labels.skip(task.region, task.lease_token, "blurred") == UNLABELED
    assert await labels.lease(audit, "ann", 1, 60) == []
    for call in (
        labels.skip(task.region, task.lease_token, "another reason"),
        labels.skip(task.region, "foreign", "blurred"),
        labels.submit(task.region, task.lease_token, a(0), ""),
        labels.extend(task.region, task.lease_token, 60),
    ):
        with pytest.raises(LeaseLost):
            await call
    for annotator in ("ben", "cem"):
        await answer(labels, audit, annotator, a(1))
    assert (await labeling.labels(audit))[0].label == 1
    with pytest.raises(NotFound):
        await labels.skip(region_name(audit, 7), "token", "")


async def test_what_is_shown_of_a_task_is_its_sheets_alone(labeling: Labeling, publish_audit: Any) -> None:
    audit = await publish_audit(1, predicted_class=1)
    shown = await labeling.sheets(region_name(audit, 0))
    assert {field.name for field, _ in shown.ListFields()} == {"name", "sheet", "nearest_sheet"} - (
        set() if shown.HasField("nearest_sheet") else {"nearest_sheet"}
    )
    assert (shown.predicted_class, shown.seed_label) == (0, 0)
    with pytest.raises(NotFound):
        await labeling.sheets(region_name(audit, 7))


async def test_mixed_regions_wait_to_be_split_and_every_decision_is_told(
    labels: LabelQueue, resources: Resources, publish_audit: Any, redis: Any
) -> None:
    audit = await publish_audit(2)
    mixed = region_name(audit, 0)
    with resources.changes.subscribed(mixed) as told:
        await asyncio.sleep(0.3)  # until it listens
        told.clear()
        assert await answer(labels, audit, "ann", M) == MIXED
        await asyncio.wait_for(told.wait(), 20)
        assert await redis.smembers(redis_keys.LABEL_MIXED) == {mixed.encode()}
        told.clear()
        await labels.undo(mixed, "ann")
        await asyncio.wait_for(told.wait(), 20)
    assert await redis.smembers(redis_keys.LABEL_MIXED) == set()
    await resources.aclose()


async def test_two_annotators_never_hold_the_same_place(labels: LabelQueue, publish_audit: Any) -> None:
    audit = await publish_audit(40)
    leased = await asyncio.gather(*(labels.lease(audit, f"annotator {n}", 3, 60) for n in range(20)))
    numbers = [number_of(task) for tasks in leased for task in tasks]
    assert sorted(numbers) == list(range(40))


async def test_nobody_gets_a_region_twice(labels: LabelQueue, publish_audit: Any) -> None:
    audit = await publish_audit(1, wanted=3)
    task = await lease_one(labels, audit, "ann")
    assert await labels.lease(audit, "ann", 5, 60) == []
    await labels.submit(task.region, task.lease_token, a(1), "")
    assert await labels.lease(audit, "ann", 5, 60) == []
    assert len(await labels.lease(audit, "ben", 5, 60)) == 1


async def test_an_expired_lease_goes_to_the_next_and_its_token_is_fenced(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(1)
    late = await lease_one(labels, audit, "ann", lease_s=SHORT_S)
    assert await labels.lease(audit, "ben", 1, 60) == []
    await asyncio.sleep(SHORT_S * 1.1)
    present = await lease_one(labels, audit, "ben")
    for call in (
        labels.submit(late.region, late.lease_token, a(0), ""),
        labels.extend(late.region, late.lease_token, 60),
        labels.release(late.region, late.lease_token),
    ):
        with pytest.raises(LeaseLost):
            await call
    await labels.submit(present.region, present.lease_token, a(1), "")
    assert (await labeling.labels(audit))[0].label == 1


async def test_an_expired_lease_is_over_even_where_nobody_took_it(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(1)
    task = await lease_one(labels, audit, "ann", lease_s=SHORT_S)
    assert (await labeling.labels(audit))[0].state == LEASED
    await asyncio.sleep(SHORT_S * 1.1)
    assert (await labeling.labels(audit))[0].state == UNLABELED
    with pytest.raises(LeaseLost):
        await labels.submit(task.region, task.lease_token, a(0), "")


async def test_an_answer_outlives_the_lease_it_was_given_under(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(2)
    first, second = await labels.lease(audit, "ann", 2, SHORT_S)
    await labels.submit(first.region, first.lease_token, a(1), "")
    await labels.release(second.region, second.lease_token)
    await asyncio.sleep(SHORT_S * 1.1)
    standing = await labeling.labels(audit)
    assert (standing[0].state, standing[1].state) == (LABELED, UNLABELED)


async def test_who_starts_anew_gets_back_what_they_held_and_nobody_else_loses_anything(
    labels: LabelQueue, publish_audit: Any
) -> None:
    audit = await publish_audit(3)
    bens = await lease_one(labels, audit, "ben")
    held = await labels.lease(audit, "ann", 3, 60)
    assert len(held) == 2
    assert await labels.lease(audit, "ann", 3, 60) == []
    again = await labels.lease(audit, "ann", 3, 60, hand_back_held=True)
    assert [task.region for task in again] == [task.region for task in held]
    with pytest.raises(LeaseLost):
        await labels.submit(held[0].region, held[0].lease_token, a(1), "")
    for task in (bens, *again):
        await labels.submit(task.region, task.lease_token, a(1), "")


async def test_an_extended_lease_is_kept(labels: LabelQueue, publish_audit: Any) -> None:
    audit = await publish_audit(1)
    task = await lease_one(labels, audit, "ann", lease_s=SHORT_S)
    expires = await labels.extend(task.region, task.lease_token, 60)
    assert 59 < expires.timestamp() - task.lease_expire_time.ToMilliseconds() / 1000 < 61
    await asyncio.sleep(SHORT_S * 1.1)
    assert (await labels.submit(task.region, task.lease_token, a(0), "")).state == LABELED


async def test_a_released_task_goes_to_the_next(labels: LabelQueue, publish_audit: Any) -> None:
    audit = await publish_audit(1)
    task = await lease_one(labels, audit, "ann")
    assert await labels.release(task.region, task.lease_token) == UNLABELED
    with pytest.raises(LeaseLost):
        await labels.submit(task.region, task.lease_token, a(0), "")
    assert await labels.lease(audit, "ben", 1, 60)


async def test_the_same_answer_again_is_answered_like_the_first_and_counts_once(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(1, wanted=2)
    task = await lease_one(labels, audit, "ann")
    first = await labels.submit(task.region, task.lease_token, a(1), "blurred")
    await lease_one(labels, audit, "ben")
    again = await labels.submit(task.region, task.lease_token, a(1), "blurred")
    assert again == first
    assert (again.state, again.answer_count, again.wanted_count) == (UNLABELED, 1, 2)
    for other, note in ((a(2), "blurred"), (a(1), "")):
        with pytest.raises(LeaseLost):
            await labels.submit(task.region, task.lease_token, other, note)
    assert (await labeling.labels(audit))[0].answers == 1


@pytest.mark.parametrize(
    ("answers", "state", "label"),
    [
        ([a(2)], LABELED, 2),
        ([M], MIXED, None),
        ([I], INVALID, None),
        ([X], SET_ASIDE, None),
        ([a(1), a(1), a(2)], LABELED, 1),
        ([a(1), a(2), a(0)], SET_ASIDE, None),
        ([a(1), M, M], MIXED, None),
        ([I, I, M], INVALID, None),
        ([a(1), X, X], LABELED, 1),
        ([X, a(1), a(2)], SET_ASIDE, None),
        ([X, X, X], SET_ASIDE, None),
        ([a(0), a(0), X], LABELED, 0),
        ([a(1), a(2)], SET_ASIDE, None),
        # The largest group is no majority.
        ([a(1), a(1), a(2), M, I], SET_ASIDE, None),
    ],
)
async def test_more_than_half_of_the_votes_decide(
    labels: LabelQueue,
    labeling: Labeling,
    publish_audit: Any,
    answers: list[LabelAnswer],
    state: int,
    label: int | None,
) -> None:
    audit = await publish_audit(1, wanted=len(answers))
    for n, given in enumerate(answers):
        reached = await answer(labels, audit, f"annotator {n}", given)
        assert reached == (state if n == len(answers) - 1 else UNLABELED)
    consensus = (await labeling.labels(audit))[0]
    assert (consensus.state, consensus.label) == (state, label)


async def test_an_answer_is_undone_until_there_is_a_consensus(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(1, wanted=3)
    region = region_name(audit, 0)
    await answer(labels, audit, "ann", a(1))
    assert await labels.undo(region, "ann") == UNLABELED
    with pytest.raises(NotFound):
        await labels.undo(region, "ann")
    # The same annotator may look again.
    for annotator in ("ann", "ben", "cem"):
        await answer(labels, audit, annotator, a(2))
    with pytest.raises(RegionClosed):
        await labels.undo(region, "ann")
    assert (await labeling.labels(audit))[0].label == 2


async def test_a_late_repeat_of_an_undone_answer_does_not_count(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(1)
    task = await lease_one(labels, audit, "ann")
    await labels.submit(task.region, task.lease_token, a(1), "")
    await labels.undo(task.region, "ann")
    with pytest.raises(LeaseLost):
        await labels.submit(task.region, task.lease_token, a(1), "")
    assert (await labeling.labels(audit))[0].answers == 0


async def test_who_alone_made_the_consensus_may_undo_it_unless_a_correction_used_it(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(3, wanted=1)
    for given in (a(1), a(2)):
        await answer(labels, audit, "ann", given)
    assert await labels.undo(region_name(audit, 0), "ann") == UNLABELED
    frozen = await labeling.freeze(audit)
    assert (frozen[1].state, frozen[1].label) == (LABELED, 2)
    with pytest.raises(RegionClosed):
        await labels.undo(region_name(audit, 1), "ann")
    # What was undecided when it was frozen is no part of the correction.
    await answer(labels, audit, "ann", a(1))
    assert await labels.undo(region_name(audit, 0), "ann") == UNLABELED


async def test_the_only_vote_among_those_who_cannot_tell_is_undone_by_its_annotator_alone(
    labels: LabelQueue, publish_audit: Any
) -> None:
    audit = await publish_audit(1, wanted=3)
    for annotator, given in (("ann", a(1)), ("ben", X), ("cem", X)):
        await answer(labels, audit, annotator, given)
    with pytest.raises(RegionClosed):
        await labels.undo(region_name(audit, 0), "ben")
    assert await labels.undo(region_name(audit, 0), "ann") == UNLABELED
    assert await answer(labels, audit, "dan", a(2)) == LABELED


async def test_an_answer_must_be_a_class_of_the_dataset_or_a_verdict(
    labels: LabelQueue, publish_audit: Any
) -> None:
    audit = await publish_audit(1, classes=3)
    task = await lease_one(labels, audit, "ann")
    for label in (-1, 3):
        with pytest.raises(LabelUnknown):
            await labels.submit(task.region, task.lease_token, a(label), "")
    for empty in (LabelAnswer(), LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_UNSPECIFIED)):
        with pytest.raises(InvalidRequest):
            await labels.submit(task.region, task.lease_token, empty, "")
    await labels.submit(task.region, task.lease_token, a(2), "")


async def test_regions_and_audits_that_do_not_exist_are_not_found(
    labels: LabelQueue, labeling: Labeling, resources: Resources, publish_audit: Any
) -> None:
    audit = await publish_audit(1)
    nowhere = "audits/00000000000000000a"
    for call in (
        labels.lease(nowhere, "ann", 1, 60),
        labeling.progress(nowhere),
        labeling.list(nowhere, 1, ""),
        labels.submit(region_name(audit, 7), "token", a(0), ""),
        labels.submit(region_name(nowhere, 0), "token", a(0), ""),
        labels.extend(region_name(audit, 7), "token", 60),
        labels.release(region_name(audit, 7), "token"),
        labels.undo(region_name(audit, 7), "ann"),
    ):
        with pytest.raises(NotFound):
            await call


async def test_opening_again_changes_nothing(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(2)
    await answer(labels, audit, "ann", a(1))
    await labels.open(audit, [0, 1], 5)
    standing = await labeling.labels(audit)
    assert (standing[0].state, standing[0].label, standing[0].wanted) == (LABELED, 1, 1)


async def test_progress_counts_every_state(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(8, predicted_class=1)
    for given in (a(1), a(2), M, I, X, a(0)):
        await answer(labels, audit, "ann", given)
    await lease_one(labels, audit, "ann")
    progress = await labeling.progress(audit)
    counts = {field.name: value for field, value in progress.ListFields()}
    assert counts == {
        "region_count": 8,
        "unlabeled_count": 1,
        "leased_count": 1,
        "labeled_count": 3,
        "mixed_count": 1,
        "invalid_count": 1,
        "set_aside_count": 1,
        "confirmed_count": 2,
    }


async def test_tasks_are_listed_without_tokens(
    labels: LabelQueue, labeling: Labeling, publish_audit: Any
) -> None:
    audit = await publish_audit(5)
    leased = await labels.lease(audit, "ann", 4, 60)
    await labels.submit(leased[1].region, leased[1].lease_token, a(0), "")
    first, token = await labeling.list(audit, 2, "", LEASED)
    rest, end = await labeling.list(audit, 2, token, LEASED)
    assert [number_of(task) for task in [*first, *rest]] == [0, 2, 3]
    assert end == ""
    assert {task.lease_token for task in [*first, *rest]} == {""}
    with pytest.raises(PageTokenInvalid):
        await labeling.list(audit, 2, token, UNLABELED)


async def test_a_deleted_audit_takes_its_labels_along(
    labels: LabelQueue, resources: Resources, redis: Redis, publish_audit: Any
) -> None:
    audit = await publish_audit(2)
    task = await lease_one(labels, audit, "ann")
    await redis.hset(redis_keys.resource(audit), "state", 3)
    await resources.delete(audit)
    with pytest.raises(NotFound):
        await labels.submit(task.region, task.lease_token, a(0), "")
    await resources.create(NewResource(Vae(), str(uuid.uuid4()), b""))
    assert not [key for key in await redis.keys("*") if audit.encode() in key]
