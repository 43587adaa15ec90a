"""The worker's consensus estimates, where the audit asks for Dawid and Skene's."""

import asyncio
from typing import Any

from defuse.v1.audit_service_pb2 import RegionState
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse_server import redis_keys
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.labels.consensus_estimates import ConsensusEstimate, ConsensusEstimates
from defuse_server.labels.estimate_consensus import (
    OVERLAP_REGIONS,
    estimate_once,
    estimates_of,
    keep_estimating,
)
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.names import parse_region_name, region_name
from redis.asyncio import Redis

UNLABELED = RegionState.REGION_STATE_UNLABELED
LABELED = RegionState.REGION_STATE_LABELED
SET_ASIDE = RegionState.REGION_STATE_SET_ASIDE


async def answer_all(labels: LabelQueue, audit: str, annotator: str, votes: dict[int, int]) -> None:
    """Answer every region that the annotator can get: `votes` has the label of each, 0 where it has none."""
    for task in await labels.lease(audit, annotator, 100, 60):
        label = votes.get(parse_region_name(task.region)[1], 0)
        await labels.submit(task.region, task.lease_token, LabelAnswer(label=label), "")


def states(standing: dict[int, Any]) -> dict[int, int]:
    return {number: label.state for number, label in standing.items()}


async def test_regions_wait_for_the_worker_and_then_have_the_most_probable_answer(
    labels: LabelQueue, labeling: Labeling, estimates: ConsensusEstimates, publish_audit: Any
) -> None:
    audit = await publish_audit(30, wanted=3, limit=5, method="dawid_skene")
    truth = {number: number % 3 for number in range(30)}
    # Two are careful; one says class 0 to everything.
    await answer_all(labels, audit, "ann", truth)
    await answer_all(labels, audit, "ben", truth)
    await answer_all(labels, audit, "spammer", {})
    assert set(states(await labeling.labels(audit)).values()) == {UNLABELED}
    assert not await labels.lease(audit, "cem", 100, 60)
    await estimate_once(estimates, labeling)
    standing = await labeling.labels(audit)
    assert set(states(standing).values()) == {LABELED}
    assert {number: label.label for number, label in standing.items()} == truth
    assert await estimates.pending() == {}


async def test_what_is_not_probable_enough_asks_for_one_more_and_is_set_aside_at_the_limit(
    labels: LabelQueue, labeling: Labeling, estimates: ConsensusEstimates, publish_audit: Any
) -> None:
    audit = await publish_audit(20, wanted=2, limit=3, method="dawid_skene")
    truth = {number: number % 3 for number in range(20)}
    await answer_all(labels, audit, "ann", truth)
    await answer_all(labels, audit, "ben", {**truth, 0: 1})
    await estimate_once(estimates, labeling)
    standing = await labeling.labels(audit)
    assert (standing[0].state, standing[0].wanted) == (UNLABELED, 3)
    assert {number for number, label in standing.items() if label.state != LABELED} == {0}
    # One alone is asked, for this region alone.
    (task,) = await labels.lease(audit, "cem", 100, 60)
    assert await labels.lease(audit, "dan", 100, 60) == []
    await labels.submit(task.region, task.lease_token, LabelAnswer(label=2), "")
    await estimate_once(estimates, labeling)
    assert (await labeling.labels(audit))[0].state == SET_ASIDE
    assert (await labeling.progress(audit)).set_aside_count == 1


async def test_where_too_few_regions_overlap_the_majority_decides(
    labels: LabelQueue, labeling: Labeling, estimates: ConsensusEstimates, publish_audit: Any
) -> None:
    audit = await publish_audit(OVERLAP_REGIONS - 1, wanted=3, limit=3, method="dawid_skene")
    for annotator, label in (("ann", 1), ("ben", 1), ("cem", 2)):
        await answer_all(labels, audit, annotator, dict.fromkeys(range(OVERLAP_REGIONS), label))
    decided = estimates_of(await labeling.tasks(audit), range(OVERLAP_REGIONS))
    assert {verdict.vote for verdict in decided} == {"majority"}
    await estimate_once(estimates, labeling)
    assert {label.label for label in (await labeling.labels(audit)).values()} == {1}


async def test_a_verdict_on_answers_that_have_changed_is_not_taken(
    labels: LabelQueue, labeling: Labeling, estimates: ConsensusEstimates, publish_audit: Any
) -> None:
    audit = await publish_audit(1, wanted=1, limit=2, method="dawid_skene")
    await answer_all(labels, audit, "ann", {0: 1})
    (seen,) = (await estimates.pending()).values()
    (verdict,) = estimates_of(await labeling.tasks(audit), {0})
    # Meanwhile.
    await labels.undo(region_name(audit, 0), "ann")
    await answer_all(labels, audit, "ben", {0: 2})
    assert await estimates.publish(audit, seen, [verdict]) == 0
    assert (await labeling.labels(audit))[0].state == UNLABELED
    assert set(await estimates.pending()) == {audit}
    await estimate_once(estimates, labeling)
    assert (await labeling.labels(audit))[0].label == 2
    # What is decided stays, whatever is learned later.
    (task,) = await labeling.tasks(audit)
    assert await estimates.publish(audit, "", [ConsensusEstimate(0, task.version, "0")]) == 0
    assert (await labeling.labels(audit))[0].label == 2


async def test_an_answer_can_be_taken_back_until_it_is_decided(
    labels: LabelQueue, labeling: Labeling, estimates: ConsensusEstimates, publish_audit: Any
) -> None:
    audit = await publish_audit(1, wanted=2, limit=2, method="dawid_skene")
    await answer_all(labels, audit, "ann", {0: 1})
    await answer_all(labels, audit, "ben", {0: 1})
    assert await labels.undo(region_name(audit, 0), "ann") == UNLABELED
    await estimate_once(estimates, labeling)
    assert (await labeling.labels(audit))[0].state == UNLABELED


async def test_answers_are_estimated_soon_after_they_come_and_a_deleted_audit_is_forgotten(
    labels: LabelQueue,
    labeling: Labeling,
    estimates: ConsensusEstimates,
    publish_audit: Any,
    redis: Redis,
) -> None:
    audit = await publish_audit(1, wanted=1, method="dawid_skene")
    estimating = asyncio.ensure_future(keep_estimating(estimates, labeling))
    try:
        await redis.hset(redis_keys.LABEL_ESTIMATES_DUE, "audits/00000000000000000a", "1.1")
        await answer_all(labels, audit, "ann", {0: 1})
        async with asyncio.timeout(60):
            while (await labeling.labels(audit))[0].state != LABELED or await estimates.pending():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await cancel_and_wait(estimating)


async def test_an_audit_that_can_not_be_estimated_keeps_no_other_waiting(
    labels: LabelQueue,
    labeling: Labeling,
    estimates: ConsensusEstimates,
    publish_audit: Any,
    redis: Redis,
) -> None:
    broken, audit = await publish_audit(1, method="dawid_skene"), await publish_audit(1, method="dawid_skene")
    for name in (broken, audit):
        await answer_all(labels, name, "ann", {0: 1})
    text = await redis.hget(redis_keys.label_tasks(broken), "0")  # pyright: ignore[reportGeneralTypeIssues]
    await redis.hset(redis_keys.label_tasks(broken), "0", b"no JSON")  # pyright: ignore[reportGeneralTypeIssues]
    await estimate_once(estimates, labeling)
    assert set(await estimates.pending()) == {broken}
    assert (await labeling.labels(audit))[0].state == LABELED
    await redis.hset(redis_keys.label_tasks(broken), "0", text)  # pyright: ignore[reportGeneralTypeIssues]
    await estimate_once(estimates, labeling)
    assert (await labeling.labels(broken))[0].state == LABELED
