"""Annotators are asked first about what an answer is expected to repair most."""

import pytest
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse_server import redis_keys
from defuse_server.labels.proposals import number_of
from defuse_server.names import FIRST_BUG, bug_name

SEEDS_LABEL, OTHER = 2, 1


@pytest.fixture
def publish(publish_audit, bugs, labels, redis):
    """Publish an audit with a bug for each pair of harm and label_probability. Returns its name."""

    async def publish(*figures):
        audit = await publish_audit(1, limit=3)
        await redis.delete(redis_keys.label_tasks(audit), redis_keys.label_states(audit))
        await redis.delete(redis_keys.label_places(audit))
        for number, (harm, believed) in enumerate(figures):
            bug = publish_audit.bug(audit, number, [number])
            bug.harm.value, bug.label_probability = harm, believed
            await bugs.publish(audit, bug, 1)
        await labels.open(audit, range(FIRST_BUG, FIRST_BUG + len(figures)), 1)
        return audit

    return publish


@pytest.fixture
def next_bug(labels):
    """Lease the next bug, and answer it unless `said` is None. Returns its number."""

    async def next_bug(audit, said=SEEDS_LABEL, annotator="ada"):
        (task,) = await labels.lease(audit, annotator, 1, 60.0)
        if said is not None:
            await labels.submit(task.region, task.lease_token, LabelAnswer(label=said), "")
        return int(task.region.rpartition("/")[2])

    return next_bug


async def asked(labels, audit, annotator="ada"):
    """Return the numbers of all bugs in the order in which they are leased, and give them back."""
    tasks = await labels.lease(audit, annotator, 100, 60.0)
    for task in tasks:
        await labels.release(task.region, task.lease_token)
    return [int(task.region.rpartition("/")[2]) for task in tasks]


async def test_what_an_answer_would_hardly_confirm_comes_later(publish, labels):
    audit = await publish((0.4, 0.2), (0.3, 0.8), (0.2, 0.8), (0.1, 0.5))
    assert await asked(labels, audit) == [1, 2, 0, 3]


async def test_what_readers_can_name_comes_before_what_they_doubt(publish, labels):
    audit = await publish((0.4, 0.8), (0.01, 0.92), (0.3, 0.5), (0.02, 0.92))
    assert await asked(labels, audit) == [3, 1, 0, 2]


async def test_bugs_that_no_reader_saw_come_by_harm(publish, labels):
    audit = await publish((0.1, 0.0), (0.4, 0.0), (0.2, 0.0))
    assert await asked(labels, audit) == [1, 2, 0]


async def test_answers_change_the_order_of_what_is_left(publish, labels, next_bug):
    """People agree with the readers, so a bug that these doubt comes before one with less harm."""
    audit = await publish(*[(0.2, 0.88)] * 4, (0.15, 0.88), (0.17, 0.75))
    assert await asked(labels, audit) == [0, 1, 2, 3, 4, 5]
    for _ in range(4):
        await next_bug(audit)
    assert await asked(labels, audit) == [5, 4]


async def test_an_answer_that_is_taken_back_takes_its_effect_along(publish, labels, next_bug):
    audit = await publish(*[(0.2, 0.8)] * 6, (0.1, 0.5))
    before = await asked(labels, audit)
    first = await next_bug(audit)
    assert first not in await asked(labels, audit)
    await labels.undo(bug_name(audit, first), "ada")
    assert await asked(labels, audit) == before


async def test_every_second_task_is_of_the_sample_until_the_proposals_are_verified(
    publish, labeling, next_bug
):
    audit = await publish(*[(0.2 - 0.001 * number, 0.95) for number in range(70)])
    sample = (await labeling.proposals(audit)).verification.missing
    by_harm, by_sample = list(range(70)), list(sample)
    for turn in range(12):
        expected = (by_sample if turn % 2 else by_harm)[0]
        assert await next_bug(audit) == expected
        by_harm, by_sample = ([one for one in left if one != expected] for left in (by_harm, by_sample))


async def test_tasks_that_are_leased_together_take_turns_too(publish, labels, labeling):
    audit = await publish(*[(0.2 - 0.001 * number, 0.95) for number in range(70)])
    sample = (await labeling.proposals(audit)).verification.missing
    first = await asked(labels, audit)
    assert first[0] == 0
    assert first[1] == next(number for number in sample if number != 0)
    assert len(set(first[:8]) & set(sample)) >= 4


async def test_proposals_that_are_used_are_asked_about_last(publish, labels, labeling, next_bug):
    audit = await publish(*[(0.2, 0.95)] * 70, *[(0.05, 0.6)] * 3)
    while not (await labeling.proposals(audit)).verification.verified:
        await next_bug(audit)
    left = await asked(labels, audit)
    used = {number_of(bug) for bug in (await labeling.proposals(audit)).in_use.values()}
    assert used
    assert left[:3] == [70, 71, 72]
    assert set(left[3:]) == used


async def test_nothing_is_verified_that_spares_nobody_an_answer(publish, labels, labeling):
    audit = await publish((0.1, 0.95), (0.4, 0.95), (0.2, 0.95))
    assert len((await labeling.proposals(audit)).verification.missing) == 3
    assert await asked(labels, audit) == [1, 2, 0]


async def test_a_doubt_comes_to_its_annotator_after_all_others(publish, labels, next_bug):
    audit = await publish((0.4, 0.8), (0.3, 0.8), (0.2, 0.8))
    assert await next_bug(audit, OTHER) == 0
    assert await asked(labels, audit) == [1, 2, 0]


async def test_a_part_of_a_split_comes_in_its_turn(publish, publish_audit, bugs, labels):
    audit = await publish((0.4, 0.8), (0.1, 0.8))
    part = publish_audit.bug(audit, 2, [0])
    part.harm.value, part.label_probability, part.parent = 0.2, 0.8, bug_name(audit, 0)
    await bugs.publish(audit, part, 1)
    await labels.open(audit, [FIRST_BUG + 2], 1)
    assert await asked(labels, audit) == [0, 2, 1]


async def test_an_audit_that_is_gone_leaves_no_ranks(publish, labeling, redis):
    audit = await publish((0.1, 0.5))
    await redis.delete(redis_keys.label_ranks(audit), redis_keys.resource(audit))
    await labeling.reorder(audit)
    assert not await redis.exists(redis_keys.label_ranks(audit))


def test_the_ranks_go_with_their_audit():
    assert redis_keys.label_ranks("audits/a") in redis_keys.belongings("audits/a")
