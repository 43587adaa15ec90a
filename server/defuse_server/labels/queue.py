"""The queue of label tasks: annotators lease tasks by Redis time, and answer them."""

import datetime
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from defuse.v1 import label_service_pb2 as pb
from defuse.v1.audit_service_pb2 import Audit, Bug, Region, RegionState
from defuse.v1.models_pb2 import ContactSheet
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import LeaseLost, NotFound, RegionClosed
from defuse_server.host.redis_client import Script
from defuse_server.labels.answers import vote_of
from defuse_server.labels.gold import gold_number
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.labeling_rule import LabelingRule, labeling_rule
from defuse_server.labels.task_contents import Shown, class_names_of, published
from defuse_server.names import bug_name, parse_task_name, region_name
from defuse_server.records.resources import Resources

_FOLDER = Path(__file__).parent
_RANDOM = secrets.SystemRandom()
_SCRIPTS = ("open", "open_gold", "lease", "extend", "submit", "undo", "release", "skip", "import")


@dataclass(frozen=True)
class GoldSheets:
    """Contact sheets of a gold task: dataset items of the class `label`, and items near to them."""

    label: int
    sheet: ContactSheet
    nearest_sheet: ContactSheet


class LabelQueue:
    """The label tasks of all audits. Every script begins by taking back the leases that have ended."""

    def __init__(self, redis: Redis, resources: Resources) -> None:
        self._redis = redis
        self._resources = resources
        self._labeling = Labeling(redis, resources)
        self._scripts = {
            name: Script(redis, _FOLDER / "tasks.lua", _FOLDER / f"{name}.lua") for name in _SCRIPTS
        }

    async def open(self, audit: str, numbers: Sequence[int], wanted: int) -> None:
        """Make tasks of published bugs or regions for `wanted` (>= 1) annotators each. Existing tasks stay.

        `numbers` are those of the tasks (see names.py). Tasks of regions are leased in the order of their
        harm, those of bugs in the order of `asking_order.py`. Raises `NotFound` (the audit).
        """
        rule = labeling_rule((await self._audit(audit)).config, wanted)
        tasks: list[str | int] = []
        for number, shown in zip(numbers, await published(self._redis, audit, numbers), strict=True):
            expected = str(shown.seed_label) if isinstance(shown, Bug) else ""
            tasks += [number, repr(max(0.0, shown.harm.value)), expected]
        await self._open("open", audit, rule, *tasks)
        await self._labeling.reorder(audit)

    async def open_gold(self, audit: str, golds: Sequence[GoldSheets]) -> None:
        """Make gold tasks. Those that exist already, by their place in `golds`, stay. Raises `NotFound`."""
        rule = labeling_rule((await self._audit(audit)).config)
        has_bugs = await cast("Any", self._redis.exists(redis_keys.bugs(audit)))
        triples: list[str | bytes | int] = []
        for index, gold in enumerate(golds):
            number = gold_number(audit, index)
            # It must look like the others.
            shown = Bug(name=bug_name(audit, number)) if has_bugs else Region(name=region_name(audit, number))
            shown.sheet.CopyFrom(gold.sheet)
            shown.nearest_sheet.CopyFrom(gold.nearest_sheet)
            triples += [number, gold.label, shown.SerializeToString()]
        await self._open("open_gold", audit, rule, *triples)

    async def lease(
        self, audit: str, annotator: str, max_tasks: int, lease_s: float, *, hand_back_held: bool = False
    ) -> list[pb.LabelTask]:
        """Lease up to `max_tasks` tasks, those first that repair most. Raises `NotFound` (the audit).

        With `hand_back_held`, the annotator first gives back all that they hold.
        """
        record = await self._audit(audit)
        class_names = await class_names_of(self._resources, record)
        gold_rate = labeling_rule(record.config).gold_rate
        # Each draw is a token and a random number in [0, 1).
        draws = ((secrets.token_urlsafe(16), repr(_RANDOM.random())) for _ in range(max_tasks))
        leased: list[tuple[bytes, bytes, int, int, int, int]] = await self._call(
            "lease",
            audit,
            *(annotator, _ms(lease_s), repr(gold_rate), "1" if hand_back_held else ""),
            *(part for draw in draws for part in draw),
        )
        found = await published(self._redis, audit, [int(entry[0]) for entry in leased])
        return [
            _held_task(shown, class_names, token.decode(), expire_ms, answers, wanted)
            for shown, (_, token, expire_ms, _, answers, wanted) in zip(found, leased, strict=True)
        ]

    async def extend(self, region: str, token: str, lease_s: float) -> datetime.datetime:
        """Extend a lease from now, and return its end in UTC. Raises `NotFound`, `LeaseLost`."""
        (expire_ms,) = await self._with_lease("extend", region, token, _ms(lease_s))
        return datetime.datetime.fromtimestamp(expire_ms / 1000, datetime.UTC)

    async def submit(
        self, region: str, token: str, answer: pb.LabelAnswer, note: str
    ) -> pb.SubmitLabelResponse:
        """Count an answer and end its lease. A repeated call gets the first response again.

        Raises `InvalidRequest` (no answer), `LabelUnknown`, `NotFound` (the region), `LeaseLost`.
        """
        audit, _ = parse_task_name(region, "region")
        vote = vote_of(answer, len(await self._class_names(audit)))
        state, answers, wanted = await self._with_lease("submit", region, token, vote, note)
        await self._labeling.reorder(audit)
        return pb.SubmitLabelResponse(
            state=cast("RegionState", state), answer_count=answers, wanted_count=wanted
        )

    async def undo(self, region: str, annotator: str) -> RegionState:
        """Take an annotator's answer back. Raises `NotFound` (region or answer), `RegionClosed`."""
        audit, number = parse_task_name(region, "region")
        outcome, state = await self._call("undo", audit, number, annotator)
        if outcome == b"missing":
            raise NotFound(f"an answer of {annotator!r} to {region}")
        if outcome == b"closed":
            raise RegionClosed(
                f"{region} is decided, or a correction or a region split has used it: the answer stays"
            )
        await self._labeling.reorder(audit)
        return cast("RegionState", state)

    async def release(self, region: str, token: str) -> RegionState:
        """Give a task back unanswered. Raises `NotFound`, `LeaseLost`."""
        (state,) = await self._with_lease("release", region, token)
        return cast("RegionState", state)

    async def skip(self, region: str, token: str, reason: str) -> RegionState:
        """Give a task back for good: its annotator does not get it again. The call can be repeated.

        Raises `NotFound`, `LeaseLost`.
        """
        (state,) = await self._with_lease("skip", region, token, reason)
        return cast("RegionState", state)

    async def count_imported(
        self, audit: str, number: int, annotation: str, annotator: str, vote: str, note: str
    ) -> str:
        """Count a vote from another tool, once for each `annotation`. Returns the outcome of import.lua.

        Call `Labeling.reorder` after the last one.
        """
        keys = [*redis_keys.label_keys(audit), redis_keys.label_imports(audit)]
        arguments = [audit, redis_keys.CHANGED, number, annotation, annotator, vote, note]
        return (await self._scripts["import"](keys, arguments)).decode()

    async def _audit(self, name: str) -> Audit:
        return cast("Audit", await self._resources.get(name))

    async def _class_names(self, audit: str) -> list[str]:
        return await class_names_of(self._resources, await self._audit(audit))

    async def _open(self, script: str, audit: str, rule: LabelingRule, *tasks: str | bytes | int) -> None:
        outcome = await self._call(script, audit, rule.wanted, rule.limit, rule.method_name, *tasks)
        if outcome == b"missing":
            raise NotFound(audit)

    async def _call(self, script: str, audit: str, *arguments: str | bytes | int) -> Any:
        keys = redis_keys.label_keys(audit)
        return await self._scripts[script](keys, [audit, redis_keys.CHANGED, *arguments])

    async def _with_lease(self, script: str, region: str, token: str, *arguments: str | int) -> list[Any]:
        """Call a script on a leased task. Returns its answer after the outcome."""
        audit, number = parse_task_name(region, "region")
        outcome, *answer = await self._call(script, audit, number, token, *arguments)
        if outcome == b"missing":
            raise NotFound(region)
        if outcome == b"lost":
            raise LeaseLost(
                f"the token holds no lease of {region} (unknown, released, or its lease has ended): "
                "lease again"
            )
        return answer


def _held_task(
    shown: Shown, class_names: Sequence[str], token: str, expire_ms: int, answers: int, wanted: int
) -> pb.LabelTask:
    task = pb.LabelTask(
        region=shown.name,
        sheet=shown.sheet,
        class_names=class_names,
        lease_token=token,
        state=RegionState.REGION_STATE_LEASED,
        answer_count=answers,
        wanted_count=wanted,
    )
    task.lease_expire_time.FromMilliseconds(expire_ms)
    return task


def _ms(duration_s: float) -> int:
    return max(1, round(duration_s * 1000))
