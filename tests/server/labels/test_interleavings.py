"""Whatever annotators do, in whatever order: no vote is lost, none counts twice, no place has two holders."""

import asyncio
import functools
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from defuse.v1.audit_service_pb2 import RegionState
from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict
from defuse_server import redis_keys
from defuse_server.errors import LeaseLost, NotFound, RegionClosed
from defuse_server.findings.regions import Regions
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.host.redis_client import connect
from defuse_server.labels.consensus_estimates import ConsensusEstimates
from defuse_server.labels.estimate_consensus import keep_estimating
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.labels.region_label import RegionLabel
from defuse_server.names import parse_region_name, region_name
from defuse_server.records.resources import Resources
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

ANNOTATORS = ("ann", "ben", "cem", "dan")
REGIONS = 2
VOTES = {
    "0": LabelAnswer(label=0),
    "1": LabelAnswer(label=1),
    "mixed": LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED),
    "cannot_tell": LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_CANNOT_TELL),
}

Step = tuple[str, Any, Any]

annotators = st.sampled_from(ANNOTATORS)
numbers = st.integers(0, REGIONS - 1)
# Tokens are chosen among all that were ever handed out, so most are stale.
tokens = st.integers(0, 30)
steps = st.one_of(
    st.tuples(st.just("lease"), annotators, st.integers(1, REGIONS)),
    st.tuples(st.just("lease and be away too long"), annotators, st.integers(1, REGIONS)),
    st.tuples(st.just("submit"), tokens, st.sampled_from(sorted(VOTES))),
    st.tuples(st.just("submit again"), tokens, st.just("")),
    st.tuples(st.just("release"), tokens, st.just("")),
    st.tuples(st.just("skip"), tokens, st.sampled_from(["blurred", ""])),
    st.tuples(st.just("undo"), annotators, numbers),
    st.tuples(st.just("freeze"), st.just(""), st.just("")),
)


def winner(votes: list[str], limit: int) -> str | None:
    """The rule once more, in other words."""
    cast = [vote for vote in votes if vote != "cannot_tell"]
    if len(cast) < len(votes) / 2 and len(votes) < limit:
        return None
    return next((vote for vote, count in Counter(cast).items() if count > len(cast) / 2), None)


STATES = {"mixed": RegionState.REGION_STATE_MIXED, None: RegionState.REGION_STATE_SET_ASIDE}


@dataclass
class Model:
    """What the queue must be like, kept in the plainest way."""

    wanted: int
    limit: int
    answers: list[dict[str, str]] = field(default_factory=lambda: [{} for _ in range(REGIONS)])
    leases: list[dict[str, str]] = field(default_factory=lambda: [{} for _ in range(REGIONS)])
    skips: list[dict[str, tuple[str, str]]] = field(default_factory=lambda: [{} for _ in range(REGIONS)])
    """Token -> annotator and reason."""
    frozen: set[int] = field(default_factory=set[int])

    def asked(self, number: int) -> int:
        """How many answers are wanted so far."""
        votes = list(self.answers[number].values())
        if len(votes) < self.wanted:
            return self.wanted
        if self.leases[number]:
            return len(votes) + len(self.leases[number])
        more = winner(votes, self.limit) is None and len(votes) < self.limit
        return len(votes) + more

    def free(self, number: int) -> int:
        return self.asked(number) - len(self.answers[number]) - len(self.leases[number])

    def decided(self, number: int) -> bool:
        return not self.leases[number] and len(self.answers[number]) == self.asked(number)

    def leasable(self, annotator: str) -> list[int]:
        return [
            number
            for number in range(REGIONS)
            if self.free(number) > 0
            and annotator not in self.answers[number]
            and annotator not in self.leases[number].values()
            and annotator not in {who for who, _ in self.skips[number].values()}
        ]

    def may_undo(self, number: int, annotator: str) -> bool:
        others = [vote for other, vote in self.answers[number].items() if other != annotator]
        closed = number in self.frozen or any(vote != "cannot_tell" for vote in others)
        return not (self.decided(number) and closed)

    def standing(self, number: int) -> RegionLabel:
        state: int = RegionState.REGION_STATE_UNLABELED
        votes = list(self.answers[number].values())
        vote = winner(votes, self.limit) if self.decided(number) else None
        if self.decided(number):
            state = STATES.get(vote, RegionState.REGION_STATE_LABELED)
        elif self.leases[number]:
            state = RegionState.REGION_STATE_LEASED
        cast = Counter(vote for vote in votes if vote != "cannot_tell")
        return RegionLabel(
            state=state,  # pyright: ignore[reportArgumentType]
            label=int(vote) if vote and vote.isdecimal() else None,
            answers=len(votes),
            wanted=self.asked(number),
            agreement=max(cast.values()) / cast.total() if cast else 0.0,
        )


class Play:
    """Does each step to the queue and to the model, and compares what comes of it."""

    def __init__(
        self, redis: Redis, labels: LabelQueue, labeling: Labeling, audit: str, wanted: int, limit: int
    ) -> None:
        self.redis = redis
        self.labels = labels
        self.labeling = labeling
        self.audit = audit
        self.model = Model(wanted, limit)
        self.handed_out: list[tuple[int, str, str]] = []
        self.counted: dict[str, str] = {}

    async def step(self, kind: str, first: Any, second: Any) -> None:
        if kind == "lease":
            await self.lease(first, second, 60)
        elif kind == "lease and be away too long":
            for number, token in await self.lease(first, second, 0.001):
                del self.model.leases[number][token]
            await asyncio.sleep(0.003)
        elif kind == "undo":
            await self.undo(first, second)
        elif kind == "freeze":
            self.model.frozen |= {number for number in range(REGIONS) if self.model.decided(number)}
            await self.labeling.freeze(self.audit)
        elif self.handed_out:
            number, token, annotator = self.handed_out[first % len(self.handed_out)]
            if kind == "release":
                await self.release(number, token)
            elif kind == "skip":
                await self.skip(number, token, annotator, second)
            else:
                await self.submit(number, token, annotator, second or self.counted.get(token, "0"))

    async def lease(self, annotator: str, count: int, lease_s: float) -> list[tuple[int, str]]:
        expected = self.model.leasable(annotator)[:count]
        tasks = await self.labels.lease(self.audit, annotator, count, lease_s)
        leased = [(parse_region_name(task.region)[1], task.lease_token) for task in tasks]
        assert [number for number, _ in leased] == expected
        for number, token in leased:
            self.model.leases[number][token] = annotator
            self.handed_out.append((number, token, annotator))
        return leased

    async def submit(self, number: int, token: str, annotator: str, vote: str) -> None:
        region = region_name(self.audit, number)
        if token in self.model.leases[number]:
            del self.model.leases[number][token]
            self.model.answers[number][annotator] = vote
            self.counted[token] = vote
        elif self.counted.get(token) != vote:
            with pytest.raises(LeaseLost):
                await self.labels.submit(region, token, VOTES[vote], "")
            return
        await self.labels.submit(region, token, VOTES[vote], "")

    async def release(self, number: int, token: str) -> None:
        region = region_name(self.audit, number)
        if self.model.leases[number].pop(token, None) is None:
            with pytest.raises(LeaseLost):
                await self.labels.release(region, token)
        else:
            await self.labels.release(region, token)

    async def skip(self, number: int, token: str, annotator: str, reason: str) -> None:
        region = region_name(self.audit, number)
        if self.model.leases[number].pop(token, None) is not None:
            self.model.skips[number][token] = (annotator, reason)
        elif self.model.skips[number].get(token) != (annotator, reason):
            with pytest.raises(LeaseLost):
                await self.labels.skip(region, token, reason)
            return
        await self.labels.skip(region, token, reason)

    async def undo(self, annotator: str, number: int) -> None:
        region = region_name(self.audit, number)
        if annotator not in self.model.answers[number]:
            with pytest.raises(NotFound):
                await self.labels.undo(region, annotator)
        elif not self.model.may_undo(number, annotator):
            with pytest.raises(RegionClosed):
                await self.labels.undo(region, annotator)
        else:
            await self.labels.undo(region, annotator)
            del self.model.answers[number][annotator]
            for token_number, token, holder in self.handed_out:
                if (token_number, holder) == (number, annotator):
                    self.counted.pop(token, None)

    async def compare(self) -> None:
        standing = await self.labeling.labels(self.audit)
        assert standing == {number: self.model.standing(number) for number in range(REGIONS)}
        mixed = [n for n, label in standing.items() if label.state == RegionState.REGION_STATE_MIXED]
        waiting = await self.redis.smembers(redis_keys.LABEL_MIXED)
        assert waiting == {region_name(self.audit, number).encode() for number in mixed}


async def votes_in(redis: Redis, audit: str) -> dict[int, dict[str, str]]:
    """Annotator -> vote, by region, as Redis holds them."""
    fields = await redis.hgetall(redis_keys.label_tasks(audit))  # pyright: ignore[reportGeneralTypeIssues]
    answers = {int(number): json.loads(task)["answers"] for number, task in fields.items()}
    return {n: {entry["annotator"]: entry["vote"] for entry in entries} for n, entries in answers.items()}


async def play(redis_url: str, make_publisher: Any, wanted: int, more: int, sequence: list[Step]) -> None:
    """Compare queue and model after each step, and the votes at the end."""
    async with connect(redis_url) as redis:
        await redis.flushdb()
        resources = Resources(redis)
        labels, labeling = LabelQueue(redis, resources), Labeling(redis, resources)
        publisher = make_publisher(redis, resources, Regions(redis, labeling), labels)
        audit = await publisher(REGIONS, wanted=wanted, limit=wanted + more)
        game = Play(redis, labels, labeling, audit, wanted, wanted + more)
        for step in sequence:
            await game.step(*step)
            await game.compare()
        assert await votes_in(redis, game.audit) == dict(enumerate(game.model.answers))


any_sequence = given(wanted=st.integers(1, 3), more=st.integers(0, 2), sequence=st.lists(steps, max_size=40))
calm = functools.partial(settings, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@calm(max_examples=30)
@any_sequence
def test_any_sequence_of_steps_keeps_every_vote_once(
    redis_url: str, make_publisher: Any, wanted: int, more: int, sequence: list[Step]
) -> None:
    asyncio.run(play(redis_url, make_publisher, wanted, more, sequence))


@pytest.mark.soak
@pytest.mark.timeout(1800)
@calm(max_examples=2000)
@any_sequence
def test_thousands_of_sequences_keep_every_vote_once(
    redis_url: str, make_publisher: Any, wanted: int, more: int, sequence: list[Step]
) -> None:
    asyncio.run(play(redis_url, make_publisher, wanted, more, sequence))


async def test_many_annotators_at_once_fill_every_place_exactly_once(
    labels: LabelQueue, labeling: Labeling, redis: Redis, publish_audit: Any
) -> None:
    regions, wanted = 15, 3
    audit = await publish_audit(regions, wanted=wanted)
    accepted: list[tuple[str, int]] = []

    async def annotate(annotator: str, random_stream: random.Random) -> None:
        for _ in range(400):
            # Some leases end before their answer comes: then it is refused, or it counts; never both.
            tasks = await labels.lease(audit, annotator, 2, random_stream.choice([0.002, 60.0]))
            for task in tasks:
                await asyncio.sleep(random_stream.random() * 0.004)
                vote = LabelAnswer(label=random_stream.randrange(3))
                try:
                    await labels.submit(task.region, task.lease_token, vote, "")
                    await labels.submit(task.region, task.lease_token, vote, "")
                except LeaseLost:
                    continue
                accepted.append((annotator, parse_region_name(task.region)[1]))
            standing = await labeling.labels(audit)
            if all(label.answers == wanted for label in standing.values()):
                return

    await asyncio.gather(*(annotate(f"annotator {n}", random.Random(n)) for n in range(6)))
    held = await votes_in(redis, audit)
    assert {number: len(votes) for number, votes in held.items()} == dict.fromkeys(range(regions), wanted)
    assert Counter(accepted) == Counter((who, number) for number, votes in held.items() for who in votes)


async def test_answers_that_come_while_others_are_estimated_are_estimated_next(
    labels: LabelQueue,
    labeling: Labeling,
    estimates: ConsensusEstimates,
    redis: Redis,
    publish_audit: Any,
) -> None:
    regions, wanted, limit = 20, 2, 4
    audit = await publish_audit(regions, wanted=wanted, limit=limit, method="dawid_skene")
    accepted: list[tuple[str, int]] = []
    estimating = [
        asyncio.ensure_future(keep_estimating(estimates, labeling, interval_s=0.001)) for _ in range(2)
    ]

    async def decided() -> bool:
        standing = await labeling.labels(audit)
        return all(label.state >= RegionState.REGION_STATE_LABELED for label in standing.values())

    async def annotate(annotator: str, random_stream: random.Random) -> None:
        while not await decided():
            for task in await labels.lease(audit, annotator, 2, 60):
                await asyncio.sleep(random_stream.random() * 0.004)
                number = parse_region_name(task.region)[1]
                vote = LabelAnswer(label=number % 3 if random_stream.random() < 0.8 else 0)
                await labels.submit(task.region, task.lease_token, vote, "")
                # Some think again; where it is decided already, the answer stays.
                if random_stream.random() < 0.2:
                    try:
                        await labels.undo(task.region, annotator)
                        continue
                    except RegionClosed:
                        pass
                accepted.append((annotator, number))

    try:
        async with asyncio.timeout(120):
            await asyncio.gather(*(annotate(f"annotator {n}", random.Random(n)) for n in range(8)))
            while await estimates.pending():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await cancel_and_wait(*estimating)
    held = await votes_in(redis, audit)
    assert Counter(accepted) == Counter((who, number) for number, votes in held.items() for who in votes)
    assert all(wanted <= len(votes) <= limit for votes in held.values())
