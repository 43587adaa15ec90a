"""Label tasks: places for annotators at regions, leased by Redis time, and the answers' consensus."""

import builtins
import datetime
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Audit, Region, RegionState
from defuse.v1.label_service_pb2 import (
    LabelAnswer,
    LabelingProgress,
    LabelingReport,
    LabelTask,
    SubmitLabelResponse,
)
from defuse.v1.models_pb2 import ContactSheet
from defuse.v1.registry_service_pb2 import Dataset
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import LeaseLost, NotFound, RegionClosed
from defuse_server.labels.answers import KeptTask, answer_of, vote_of
from defuse_server.labels.gold import gold_number, is_gold
from defuse_server.labels.report import labeling_report
from defuse_server.labels.rule import labeling_rule
from defuse_server.labels.standing import NOT_OPENED as NOT_OPENED
from defuse_server.labels.standing import RegionLabel as RegionLabel
from defuse_server.labels.standing import read_states
from defuse_server.names import parse_region_name, region_name
from defuse_server.paging import checked_page_size, opened_page_token
from defuse_server.redis_client import Script
from defuse_server.resources import Resources

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class GoldSheets:
    """Dataset items of the class `label`, and others near to them, as a region's samples are shown."""

    label: int
    sheet: ContactSheet
    nearest_sheet: ContactSheet


@dataclass(frozen=True)
class Answered:
    """A task that an annotator answered, and how."""

    region: str
    answer: LabelAnswer
    note: str
    time: datetime.datetime


@dataclass(frozen=True)
class Verdict:
    """What the worker says of a task's answers of a version: a vote, "" (ask one more), or "majority"."""

    number: int
    version: int
    vote: str


class LabelQueue:
    """The label tasks of all audits. Every script first takes back the leases that have ended."""

    def __init__(self, redis: Redis, resources: Resources) -> None:
        self._redis = redis
        self._resources = resources
        self._open = self._script("open")
        self._open_gold = self._script("open_gold")
        self._lease = self._script("lease")
        self._extend = self._script("extend")
        self._submit = self._script("submit")
        self._undo = self._script("undo")
        self._release = self._script("release")
        self._skip = self._script("skip")
        self._held = self._script("held")
        self._judge = self._script("judge")
        self._states = self._script("states")
        self._import = self._script("import")

    async def open(self, audit: str, numbers: Sequence[int], wanted: int) -> None:
        """Make tasks of published regions, for `wanted` (>= 1) annotators each; known ones stay.

        They are handed out in the order of their expected harm. Raises NotFound (the audit).
        """
        rule = labeling_rule(cast("Audit", await self._resources.get(audit)).config, wanted)
        regions = await self._published(audit, numbers)
        harms = (repr(max(0.0, region.harm.value)) for region in regions)
        pairs = [part for pair in zip(numbers, harms, strict=True) for part in pair]
        await self._call(self._open, audit, rule.wanted, rule.limit, rule.method_name, *pairs)

    async def open_gold(self, audit: str, golds: Sequence[GoldSheets]) -> None:
        """Make gold tasks; those known by their place in `golds` stay. Raises NotFound (the audit)."""
        rule = labeling_rule(cast("Audit", await self._resources.get(audit)).config)
        triples: builtins.list[str | bytes | int] = []
        for index, gold in enumerate(golds):
            number = gold_number(audit, index)
            name = region_name(audit, number)
            shown = Region(name=name, sheet=gold.sheet, nearest_sheet=gold.nearest_sheet)
            triples += [number, gold.label, shown.SerializeToString()]
        await self._call(self._open_gold, audit, rule.wanted, rule.limit, rule.method_name, *triples)

    async def lease(self, audit: str, annotator: str, max_tasks: int, lease_s: float) -> list[LabelTask]:
        """Lease up to `max_tasks` tasks, those with the largest harm first; raises NotFound (the audit)."""
        record = cast("Audit", await self._resources.get(audit))
        class_names = await self._class_names_of(record)
        gold_rate = labeling_rule(record.config).gold_rate
        draws = ((secrets.token_urlsafe(16), _draw()) for _ in range(max_tasks))
        leased: list[tuple[bytes, bytes, int, int, int, int]] = await self._call(
            self._lease,
            audit,
            *(annotator, _ms(lease_s), repr(gold_rate)),
            *(part for draw in draws for part in draw),
        )
        regions = await self._published(audit, [int(entry[0]) for entry in leased])
        return [
            _held_task(region, class_names, token.decode(), expire_ms, answers, wanted)
            for region, (_, token, expire_ms, _, answers, wanted) in zip(regions, leased, strict=True)
        ]

    async def held(self, region: str, token: str) -> LabelTask:
        """Return a leased task again, for a page that was open over a restart; raises NotFound, LeaseLost."""
        audit, number = parse_region_name(region, "region")
        outcome, expire_ms, answers, wanted = await self._call(self._held, audit, number, token)
        _check_lease(region, outcome)
        (shown,) = await self._published(audit, [number])
        return _held_task(shown, await self._class_names(audit), token, expire_ms, answers, wanted)

    async def shown(self, region: str) -> Region:
        """Return the sheets of a task, of a gold one too: its name, `sheet` and `nearest_sheet`, no more.

        Raises NotFound.
        """
        audit, number = parse_region_name(region, "region")
        (found,) = await self._published(audit, [number])
        if not found.HasField("sheet"):
            raise NotFound(region)
        return Region(name=found.name, sheet=found.sheet, nearest_sheet=found.nearest_sheet)

    async def extend(self, region: str, token: str, lease_s: float) -> datetime.datetime:
        """Prolong a lease from now; returns when it ends (UTC). Raises NotFound, LeaseLost."""
        audit, number = parse_region_name(region, "region")
        outcome, expire_ms = await self._call(self._extend, audit, number, token, _ms(lease_s))
        _check_lease(region, outcome)
        return _time(expire_ms)

    async def submit(self, region: str, token: str, answer: LabelAnswer, note: str) -> SubmitLabelResponse:
        """Count an answer and end its lease; the same again is answered like the first.

        Raises InvalidRequest (no answer), LabelUnknown, NotFound (the region), LeaseLost.
        """
        audit, number = parse_region_name(region, "region")
        vote = vote_of(answer, len(await self._class_names(audit)))
        outcome, state, answers, wanted = await self._call(self._submit, audit, number, token, vote, note)
        _check_lease(region, outcome)
        return SubmitLabelResponse(state=state, answer_count=answers, wanted_count=wanted)

    async def undo(self, region: str, annotator: str) -> RegionState:
        """Take an annotator's answer back; raises NotFound (region or answer), RegionClosed."""
        audit, number = parse_region_name(region, "region")
        outcome, state = await self._call(self._undo, audit, number, annotator)
        if outcome == b"missing":
            raise NotFound(f"an answer of {annotator!r} to {region}")
        if outcome == b"closed":
            raise RegionClosed(
                f"{region} has its consensus, or a correction or a split used it: the answer stays"
            )
        return cast("RegionState", state)

    async def release(self, region: str, token: str) -> RegionState:
        """Give a task back unanswered; raises NotFound, LeaseLost."""
        audit, number = parse_region_name(region, "region")
        outcome, state = await self._call(self._release, audit, number, token)
        _check_lease(region, outcome)
        return cast("RegionState", state)

    async def skip(self, region: str, token: str, reason: str) -> RegionState:
        """Give a task back for good: its annotator does not get it again; the same again is answered alike.

        Raises NotFound, LeaseLost.
        """
        audit, number = parse_region_name(region, "region")
        outcome, state = await self._call(self._skip, audit, number, token, reason)
        _check_lease(region, outcome)
        return cast("RegionState", state)

    async def count_imported(
        self, audit: str, number: int, annotation: str, annotator: str, vote: str, note: str
    ) -> str:
        """Count a vote that was given elsewhere, once for each `annotation`.

        Returns what became of it, in the words of import.lua.
        """
        keys = [*redis_keys.label_keys(audit), redis_keys.label_imports(audit)]
        arguments: builtins.list[str | bytes | int] = [audit, redis_keys.CHANGED, number, annotation]
        return (await self._import(keys, [*arguments, annotator, vote, note])).decode()

    async def history(self, audit: str, annotator: str, limit: int = 20) -> builtins.list[Answered]:
        """Return the last tasks that an annotator answered and did not take back, the last one first."""
        text = await cast("Any", self._redis.hget(redis_keys.label_history(audit), annotator))
        numbers = [int(number) for number in json.loads(text or "[]")][: -limit - 1 : -1]
        answered: builtins.list[Answered] = []
        for task in await self._tasks_of(audit, numbers):
            answer = next((one for one in task.answers if one.annotator == annotator), None)
            # Taken back between the two reads otherwise.
            if answer is not None:
                name = region_name(audit, task.number)
                answered.append(Answered(name, answer_of(answer.vote), answer.note, _time(answer.time_ms)))
        return answered

    async def list(
        self, audit: str, page_size: int, page_token: str, state: int = 0
    ) -> tuple[builtins.list[LabelTask], str]:
        """Return a page of tasks without tokens, in the order of the regions, and the next page's token.

        Raises InvalidRequest, NotFound (the audit), PageTokenInvalid.
        """
        size = checked_page_size(page_size)
        purpose = f"label-tasks:{audit}:{state}"
        first = await opened_page_token(self._resources.sealer, purpose, page_token) or 0
        class_names = await self._class_names(audit)
        labels = await self.labels(audit)
        numbers = sorted(n for n, label in labels.items() if n >= first and state in (0, label.state))
        regions = await self._published(audit, numbers[:size])
        tasks = [
            LabelTask(
                region=region.name,
                sheet=region.sheet,
                class_names=class_names,
                state=labels[number].state,
                answer_count=labels[number].answers,
                wanted_count=labels[number].wanted,
            )
            for number, region in zip(numbers, regions, strict=False)
        ]
        if len(numbers) <= size:
            return tasks, ""
        return tasks, await self._resources.sealer.seal(purpose, str(numbers[size]))

    async def progress(self, audit: str) -> LabelingProgress:
        """Count the regions by state; raises NotFound (the audit)."""
        await self._resources.get(audit)
        labels = await self.labels(audit)
        predictions = await self._predictions(audit)
        # Published and not yet opened ones are unlabeled, too.
        standing = [labels.get(number, NOT_OPENED) for number in labels.keys() | predictions.keys()]
        states = [label.state for label in standing]
        return LabelingProgress(
            region_count=len(standing),
            unlabeled_count=states.count(RegionState.REGION_STATE_UNLABELED),
            leased_count=states.count(RegionState.REGION_STATE_LEASED),
            labeled_count=states.count(RegionState.REGION_STATE_LABELED),
            mixed_count=states.count(RegionState.REGION_STATE_MIXED),
            invalid_count=states.count(RegionState.REGION_STATE_INVALID),
            set_aside_count=states.count(RegionState.REGION_STATE_SET_ASIDE),
            confirmed_count=sum(label.confirms(predictions[number]) for number, label in labels.items()),
        )

    async def report(self, audit: str) -> LabelingReport:
        """Say how far the answers can be trusted; raises NotFound (the audit)."""
        progress = await self.progress(audit)
        return labeling_report(audit, await self.tasks(audit), await self.labels(audit), progress)

    async def labels(self, audit: str) -> dict[int, RegionLabel]:
        """Return where the labeling of each region stands."""
        return read_states(await self._call(self._states, audit, ""))

    async def freeze(self, audit: str) -> dict[int, RegionLabel]:
        """As `labels`, and in the same step marks the decided ones as used: they can't be undone any more."""
        return read_states(await self._call(self._states, audit, "freeze"))

    async def tasks(self, audit: str) -> builtins.list[KeptTask]:
        """Return all tasks with their answers, gold ones too, in the order of their numbers."""
        fields = await cast("Any", self._redis.hgetall(redis_keys.label_tasks(audit)))
        return [
            KeptTask.from_json(number, fields[str(number).encode()]) for number in sorted(map(int, fields))
        ]

    async def unjudged(self) -> dict[str, str]:
        """Return the audits with answers that no worker has judged, and a mark of the last of them."""
        fields = await cast("Any", self._redis.hgetall(redis_keys.LABEL_UNJUDGED))
        return {audit.decode(): mark.decode() for audit, mark in fields.items()}

    async def judge(self, audit: str, seen: str, verdicts: Sequence[Verdict]) -> int:
        """Take verdicts on answers that are still the same; returns how many those were.

        `seen` is the mark of `unjudged` from before the answers were read: what came since stays unjudged.
        """
        triples = [part for one in verdicts for part in (one.number, one.version, one.vote)]
        return await self._call(self._judge, audit, seen, *triples)

    async def forget_unjudged(self, audit: str) -> None:
        """Of an audit that was deleted."""
        await cast("Any", self._redis.hdel(redis_keys.LABEL_UNJUDGED, audit))

    async def mixed(self) -> set[str]:
        """Return the names of the regions, of all audits, that wait to be split."""
        return {name.decode() for name in await cast("Any", self._redis.smembers(redis_keys.LABEL_MIXED))}

    async def _class_names(self, audit: str) -> builtins.list[str]:
        return await self._class_names_of(cast("Audit", await self._resources.get(audit)))

    async def _class_names_of(self, audit: Audit) -> builtins.list[str]:
        return list(cast("Dataset", await self._resources.get(audit.dataset)).class_names)

    async def _tasks_of(self, audit: str, numbers: Sequence[int]) -> builtins.list[KeptTask]:
        """Read tasks, in the order of `numbers`."""
        if not numbers:
            return []
        fields = [str(number) for number in numbers]
        texts = await cast("Any", self._redis.hmget(redis_keys.label_tasks(audit), fields))
        return [KeptTask.from_json(n, text) for n, text in zip(numbers, texts, strict=True) if text]

    async def _published(self, audit: str, numbers: Sequence[int]) -> builtins.list[Region]:
        """Read regions as the search found them, of which only what annotators may see goes further."""
        bodies: dict[int, bytes | None] = {}
        for key, few in (
            (redis_keys.regions(audit), [number for number in numbers if not is_gold(number)]),
            (redis_keys.label_gold(audit), [number for number in numbers if is_gold(number)]),
        ):
            if few:
                found = await cast("Any", self._redis.hmget(key, [str(number) for number in few]))
                bodies.update(zip(few, found, strict=True))
        return [
            Region.FromString(body) if (body := bodies[number]) else Region(name=region_name(audit, number))
            for number in numbers
        ]

    async def _predictions(self, audit: str) -> dict[int, int]:
        fields = await cast("Any", self._redis.hgetall(redis_keys.predictions(audit)))
        return {int(number): int(predicted) for number, predicted in fields.items()}

    def _script(self, name: str) -> Script:
        return Script(self._redis, _FOLDER / "tasks.lua", _FOLDER / f"{name}.lua")

    @staticmethod
    async def _call(script: Script, audit: str, *arguments: str | bytes | int) -> Any:
        return await script(redis_keys.label_keys(audit), [audit, redis_keys.CHANGED, *arguments])


def _held_task(
    region: Region, class_names: Sequence[str], token: str, expire_ms: int, answers: int, wanted: int
) -> LabelTask:
    task = LabelTask(
        region=region.name,
        sheet=region.sheet,
        class_names=class_names,
        lease_token=token,
        state=RegionState.REGION_STATE_LEASED,
        answer_count=answers,
        wanted_count=wanted,
    )
    task.lease_expire_time.FromMilliseconds(expire_ms)
    return task


def _draw() -> str:
    """Return a random number in [0, 1)."""
    return repr(secrets.randbits(53) / (1 << 53))


def _ms(duration_s: float) -> int:
    return max(1, round(duration_s * 1000))


def _time(time_ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)


def _check_lease(region: str, outcome: bytes) -> None:
    if outcome == b"missing":
        raise NotFound(region)
    if outcome == b"lost":
        raise LeaseLost(
            f"the token holds no lease of {region} (foreign, released, or its lease has ended): lease again"
        )
