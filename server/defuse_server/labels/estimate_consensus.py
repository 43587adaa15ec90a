"""Estimates the consensus by Dawid and Skene's method. Every worker runs this beside its jobs."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import structlog
from defuse.v1.audit_service_pb2 import RegionState

from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.labels.answers import KeptTask
from defuse_server.labels.consensus_estimates import ConsensusEstimate, ConsensusEstimates
from defuse_server.labels.dawid_skene import Votes, dawid_skene
from defuse_server.labels.labeling import Labeling

LEAST_POSTERIOR: Final = 0.9
"""A vote decides if its probability is at least this. Otherwise one more annotator is asked."""
OVERLAP_REGIONS: Final = 10
"""Annotators' habits are estimated only if this many regions have two votes or more."""
_INTERVAL_S: Final = 0.5

_log = structlog.get_logger(__name__)


async def keep_estimating(
    estimates: ConsensusEstimates, labeling: Labeling, interval_s: float = _INTERVAL_S
) -> None:
    """Estimate again soon after new answers come, until this task is cancelled."""
    while True:
        with contextlib.suppress(*UNREACHABLE):
            await estimate_once(estimates, labeling)
        await asyncio.sleep(interval_s)


async def estimate_once(estimates: ConsensusEstimates, labeling: Labeling) -> None:
    """Estimate the consensus of every audit that has new answers."""
    for audit, mark in (await estimates.pending()).items():
        try:
            await _estimate(estimates, labeling, audit, mark)
        except UNREACHABLE:
            raise
        except Exception:
            # The audit stays pending for the next round or another worker, and holds up no other audit.
            _log.exception("labels.not_estimated", audit=audit)


async def _estimate(estimates: ConsensusEstimates, labeling: Labeling, audit: str, mark: str) -> None:
    # States first: the script refuses an estimate for a region that is decided after this.
    labels = await labeling.task_states(audit)
    tasks = await labeling.tasks(audit)
    if not tasks:
        await estimates.forget(audit)
        return
    open_numbers = {n for n, label in labels.items() if label.state < RegionState.REGION_STATE_LABELED}
    made = await asyncio.to_thread(estimates_of, tasks, open_numbers)
    published = await estimates.publish(audit, mark, made)
    await labeling.reorder(audit)
    _log.info("labels.estimated", audit=audit, estimates=len(made), published=published)


def estimates_of(tasks: Sequence[KeptTask], open_numbers: Collection[int]) -> list[ConsensusEstimate]:
    """Return an estimate for each region of `open_numbers` that has as many answers as it wants.

    Answers to every task count as evidence of the annotators' habits, including answers to gold tasks.
    """
    due = [task for task in tasks if task.number in open_numbers and len(task.answers) >= task.wanted]
    overlap = sum(_vote_count(task) >= 2 for task in tasks if task.gold is None)
    if overlap < OVERLAP_REGIONS:
        return [ConsensusEstimate(task.number, task.version, "majority") for task in due]
    probable = _most_probable(tasks)
    return [ConsensusEstimate(task.number, task.version, probable.get(task.number, "")) for task in due]


def _vote_count(task: KeptTask) -> int:
    return sum(not answer.abstains for answer in task.answers)


def _most_probable(tasks: Sequence[KeptTask]) -> dict[int, str]:
    """Return the vote that is probable enough, by region number. Other regions are left out."""
    tasks = [task for task in tasks if _vote_count(task)]
    given = [(row, one) for row, task in enumerate(tasks) for one in task.answers if not one.abstains]
    golds = {row: task.gold for row, task in enumerate(tasks) if task.gold is not None}
    votes = sorted({answer.vote for _, answer in given} | set(golds.values()))
    people = sorted({answer.annotator for _, answer in given})
    category = {vote: index for index, vote in enumerate(votes)}
    person = {name: index for index, name in enumerate(people)}
    estimate = dawid_skene(
        Votes(
            items=np.array([row for row, _ in given], np.int64),
            annotators=np.array([person[answer.annotator] for _, answer in given], np.int64),
            categories=np.array([category[answer.vote] for _, answer in given], np.int64),
            item_count=len(tasks),
            annotator_count=len(people),
            category_count=len(votes),
        ),
        {row: category[gold] for row, gold in golds.items()},
    )
    best = estimate.posteriors.argmax(axis=1)
    return {
        task.number: votes[best[row]]
        for row, task in enumerate(tasks)
        if estimate.posteriors[row, best[row]] >= LEAST_POSTERIOR
    }
