"""The worker's judgement of answers, for audits whose consensus is Dawid and Skene's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import structlog
from defuse.v1.audit_service_pb2 import RegionState

from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.labels.answers import KeptTask
from defuse_server.labels.consensus import Verdict, Verdicts
from defuse_server.labels.dawid_skene import Votes, dawid_skene
from defuse_server.labels.labeling import Labeling

LEAST_POSTERIOR: Final = 0.9
"""An answer that is at least so probable decides; else one more annotator is asked."""
OVERLAP_REGIONS: Final = 10
"""So many regions must have two votes or more; with fewer nothing can be learned of the annotators."""
_INTERVAL_S: Final = 0.5

_log = structlog.get_logger(__name__)


async def judge_for_ever(verdicts: Verdicts, labeling: Labeling, interval_s: float = _INTERVAL_S) -> None:
    """Judge answers soon after they come; whatever comes meanwhile is judged together, next."""
    while True:
        with contextlib.suppress(*UNREACHABLE):
            await judge_once(verdicts, labeling)
        await asyncio.sleep(interval_s)


async def judge_once(verdicts: Verdicts, labeling: Labeling) -> None:
    """Judge the answers of all audits that have new ones."""
    for audit, seen in (await verdicts.unjudged()).items():
        try:
            await _judge(verdicts, labeling, audit, seen)
        except UNREACHABLE:
            raise
        except Exception:
            # The audit stays marked: the next round, or another worker, judges it. Others don't wait for it.
            _log.exception("labels.not_judged", audit=audit)


async def _judge(verdicts: Verdicts, labeling: Labeling, audit: str, seen: str) -> None:
    # States first: what is decided after this is refused by the script.
    standing = await labeling.labels(audit)
    tasks = await labeling.tasks(audit)
    if not tasks:
        await verdicts.forget_unjudged(audit)
        return
    open_numbers = {n for n, label in standing.items() if label.state < RegionState.REGION_STATE_LABELED}
    judged = await asyncio.to_thread(judgement, tasks, open_numbers)
    taken = await verdicts.judge(audit, seen, judged)
    _log.info("labels.judged", audit=audit, verdicts=len(judged), taken=taken)


def judgement(tasks: Sequence[KeptTask], open_numbers: Collection[int]) -> list[Verdict]:
    """Return a verdict on each region of `open_numbers` that has its answers.

    The answers to all tasks tell of the annotators, those to gold tasks too.
    """
    due = [task for task in tasks if task.number in open_numbers and len(task.answers) >= task.wanted]
    overlap = sum(_vote_count(task) >= 2 for task in tasks if task.gold is None)
    if overlap < OVERLAP_REGIONS:
        return [Verdict(task.number, task.version, "majority") for task in due]
    probable = _most_probable(tasks)
    return [Verdict(task.number, task.version, probable.get(task.number, "")) for task in due]


def _vote_count(task: KeptTask) -> int:
    return sum(not answer.abstains for answer in task.answers)


def _most_probable(tasks: Sequence[KeptTask]) -> dict[int, str]:
    """Region number -> the vote that is probable enough; none for others."""
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
