"""Label tasks: places for annotators at regions, leased by Redis time, and the answers' consensus."""

import builtins
import datetime
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Audit, Region, RegionState
from defuse.v1.label_service_pb2 import LabelAnswer, LabelingProgress, LabelTask, SubmitLabelResponse
from defuse.v1.registry_service_pb2 import Dataset
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import LeaseLost, NotFound, RegionClosed
from defuse_server.labels.answers import vote_of
from defuse_server.names import parse_region_name, region_name
from defuse_server.paging import checked_page_size, opened_page_token
from defuse_server.redis_client import Script
from defuse_server.resources import Resources

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class RegionLabel:
    """Where the labeling of a region stands; `label` is the agreed class when LABELED."""

    state: RegionState
    label: int | None
    answers: int
    wanted: int

    def confirms(self, predicted_class: int) -> bool:
        """Whether it says that the classifier's prediction there is a bug."""
        return self.label is not None and self.label != predicted_class


NOT_OPENED = RegionLabel(RegionState.REGION_STATE_UNLABELED, None, 0, 0)
"""Of a region that is published, and not yet open to annotators."""


class LabelQueue:
    """The label tasks of all audits. Every method first takes back the leases that have ended."""

    def __init__(self, redis: Redis, resources: Resources) -> None:
        self._redis = redis
        self._resources = resources
        self._open = self._script("open")
        self._lease = self._script("lease")
        self._extend = self._script("extend")
        self._submit = self._script("submit")
        self._undo = self._script("undo")
        self._release = self._script("release")
        self._states = self._script("states")

    async def open(self, audit: str, numbers: Sequence[int], wanted: int) -> None:
        """Make tasks of published regions, for `wanted` (>= 1) annotators each; known ones stay."""
        await self._open(redis_keys.label_keys(audit), [wanted, *numbers])

    async def lease(self, audit: str, annotator: str, max_tasks: int, lease_s: float) -> list[LabelTask]:
        """Lease up to `max_tasks` tasks, the lowest region numbers first; raises NotFound (the audit)."""
        class_names = await self._class_names(audit)
        tokens = [secrets.token_urlsafe(16) for _ in range(max_tasks)]
        leased: list[tuple[bytes, bytes, int, int, int, int]] = await self._lease(
            redis_keys.label_keys(audit), [annotator, _ms(lease_s), *tokens]
        )
        regions = await self._published(audit, [int(entry[0]) for entry in leased])
        tasks: list[LabelTask] = []
        for region, (_, token, expire_ms, state, answers, wanted) in zip(regions, leased, strict=True):
            task = LabelTask(
                region=region.name,
                sheet=region.sheet,
                class_names=class_names,
                lease_token=token.decode(),
                state=cast("RegionState", state),
                answer_count=answers,
                wanted_count=wanted,
            )
            task.lease_expire_time.FromMilliseconds(expire_ms)
            tasks.append(task)
        return tasks

    async def extend(self, region: str, token: str, lease_s: float) -> datetime.datetime:
        """Prolong a lease from now; returns when it ends (UTC). Raises NotFound, LeaseLost."""
        audit, number = parse_region_name(region, "region")
        outcome, expire_ms = await self._extend(redis_keys.label_keys(audit), [number, token, _ms(lease_s)])
        _check_lease(region, outcome)
        return datetime.datetime.fromtimestamp(expire_ms / 1000, datetime.UTC)

    async def submit(self, region: str, token: str, answer: LabelAnswer, note: str) -> SubmitLabelResponse:
        """Count an answer and end its lease; the same again is answered like the first.

        Raises InvalidRequest (no answer), LabelUnknown, NotFound (the region), LeaseLost.
        """
        audit, number = parse_region_name(region, "region")
        vote = vote_of(answer, len(await self._class_names(audit)))
        outcome, state, answers, wanted = await self._submit(
            redis_keys.label_keys(audit), [number, token, vote, note, region]
        )
        _check_lease(region, outcome)
        return SubmitLabelResponse(state=state, answer_count=answers, wanted_count=wanted)

    async def undo(self, region: str, annotator: str) -> RegionState:
        """Take an annotator's answer back; raises NotFound (region or answer), RegionClosed."""
        audit, number = parse_region_name(region, "region")
        outcome, state = await self._undo(redis_keys.label_keys(audit), [number, annotator, region])
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
        outcome, state = await self._release(redis_keys.label_keys(audit), [number, token])
        _check_lease(region, outcome)
        return cast("RegionState", state)

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

    async def labels(self, audit: str) -> dict[int, RegionLabel]:
        """Return where the labeling of each region stands."""
        return _read_states(await self._states(redis_keys.label_keys(audit), [""]))

    async def freeze(self, audit: str) -> dict[int, RegionLabel]:
        """As `labels`, and in the same step marks the decided ones as used: they can't be undone any more."""
        return _read_states(await self._states(redis_keys.label_keys(audit), ["freeze"]))

    async def _class_names(self, audit: str) -> builtins.list[str]:
        record = cast("Audit", await self._resources.get(audit))
        return list(cast("Dataset", await self._resources.get(record.dataset)).class_names)

    async def _published(self, audit: str, numbers: Sequence[int]) -> builtins.list[Region]:
        """Read regions as the search found them, of which only what annotators may see goes further."""
        if not numbers:
            return []
        fields = [str(number) for number in numbers]
        bodies = await cast("Any", self._redis.hmget(redis_keys.regions(audit), fields))
        return [
            Region.FromString(body) if body else Region(name=region_name(audit, number))
            for number, body in zip(numbers, bodies, strict=True)
        ]

    async def _predictions(self, audit: str) -> dict[int, int]:
        fields = await cast("Any", self._redis.hgetall(redis_keys.predictions(audit)))
        return {int(number): int(predicted) for number, predicted in fields.items()}

    def _script(self, name: str) -> Script:
        return Script(self._redis, _FOLDER / "tasks.lua", _FOLDER / f"{name}.lua")


def _ms(duration_s: float) -> int:
    return max(1, round(duration_s * 1000))


def _read_states(reply: Sequence[bytes]) -> dict[int, RegionLabel]:
    labels: dict[int, RegionLabel] = {}
    for number, text in zip(reply[::2], reply[1::2], strict=True):
        state, answers, wanted, label = text.decode().split(":")
        labels[int(number)] = RegionLabel(
            state=cast("RegionState", int(state)),
            label=int(label) if label else None,
            answers=int(answers),
            wanted=int(wanted),
        )
    return labels


def _check_lease(region: str, outcome: bytes) -> None:
    if outcome == b"missing":
        raise NotFound(region)
    if outcome == b"lost":
        raise LeaseLost(
            f"the token holds no lease of {region} (foreign, released, or its lease has ended): lease again"
        )
