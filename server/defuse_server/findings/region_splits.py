"""Region splits: take the MIXED regions of an audit apart, one region split at a time for each audit.

A region waits in the set `LABEL_MIXED` until its outcome is published, and leaves the set in the same step as
its parts appear. If a process dies on the way, the next attempt finds the region in the set. So no region is
lost, and none is split twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from defuse.v1.audit_service_pb2 import Bug, Region, RegionSplit
from defuse.v1.models_pb2 import JobState
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import Fenced
from defuse_server.host.redis_client import Script
from defuse_server.names import (
    audit_of_region_split,
    parse_bug_name,
    parse_task_name,
    region_number,
    region_split_name,
    task_name,
)
from defuse_server.records.record import JOB_RECORD

_FOLDER = Path(__file__).parent
_UNFINISHED = f"{JobState.JOB_STATE_QUEUED},{JobState.JOB_STATE_RUNNING}"
_WITHOUT_SUCCESS = f"{JobState.JOB_STATE_FAILED},{JobState.JOB_STATE_CANCELLED}"
_NO_SUCCESS_REASON = (
    "its audit failed or was cancelled, and only regions of an audit that succeeded are split"
)


@dataclass(frozen=True)
class RegionSplitOutcome:
    """The outcome for a MIXED bug or region: the task numbers of its parts, or why it has none."""

    parts: tuple[int, ...] = ()
    reason: str = ""

    @classmethod
    def from_json(cls, text: bytes) -> "RegionSplitOutcome":
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        return cls(tuple(fields["parts"]), fields["reason"])

    def to_json(self) -> str:
        """Return the outcome as JSON."""
        return json.dumps(asdict(self))


async def region_split_outcomes(redis: Redis, audit: str) -> dict[int, RegionSplitOutcome]:
    """Return the outcomes for an audit's MIXED bugs and regions, by the number of their tasks."""
    fields = await cast("Any", redis.hgetall(redis_keys.region_splits(audit)))
    return {int(number): RegionSplitOutcome.from_json(outcome) for number, outcome in fields.items()}


class RegionSplits:
    """The region splits of all audits. `split` is the name of one, `audits/{id}/split`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._begin = Script(redis, _FOLDER / "begin_region_splits.lua")
        self._take = Script(redis, JOB_RECORD, _FOLDER / "take_region_splits.lua")
        self._publish = Script(redis, JOB_RECORD, _FOLDER / "publish_region_splits.lua")

    async def begin(self) -> list[str]:
        """Create QUEUED records of the region splits that are due. Returns their names; submit these as jobs.

        An audit's region split is due once the audit has SUCCEEDED and the previous one has ended. Regions of
        an audit that FAILED or was CANCELLED are not split, and their outcome says so.
        """
        waiting = await self._waiting()
        begun: list[str] = []
        for audit, regions in waiting.items():
            split = region_split_name(audit)
            outcome = await self._begin(
                [
                    redis_keys.resource(audit),
                    redis_keys.resource(split),
                    redis_keys.QUEUE,
                    redis_keys.SEQUENCE,
                    redis_keys.LABEL_MIXED,
                    redis_keys.region_splits(audit),
                    redis_keys.label_frozen(audit),
                ],
                [
                    split,
                    RegionSplit().SerializeToString(),
                    JobState.JOB_STATE_QUEUED,
                    _UNFINISHED,
                    JobState.JOB_STATE_SUCCEEDED,
                    _WITHOUT_SUCCESS,
                    RegionSplitOutcome(reason=_NO_SUCCESS_REASON).to_json(),
                    redis_keys.CHANGED,
                    audit,
                    redis_keys.HEAD_START,
                    *_with_numbers(regions),
                ],
            )
            if outcome == b"begun":
                begun.append(split)
        return begun

    async def take(self, split: str, attempt: int) -> list[int]:
        """Return the task numbers of what waits. From now on the answers to it stay. Raises `Fenced`."""
        audit = audit_of_region_split(split)
        regions = (await self._waiting()).get(audit, [])
        taken = await self._take(
            [redis_keys.resource(split), redis_keys.LABEL_MIXED, redis_keys.label_frozen(audit)],
            [attempt, _UNFINISHED, *_with_numbers(regions)],
        )
        if taken is None:
            raise Fenced(split, attempt)
        return sorted(int(number) for number in taken)

    async def publish(
        self,
        split: str,
        attempt: int,
        outcomes: Mapping[int, RegionSplitOutcome],
        parts: Sequence[Region] = (),
        regions_artifact: str = "",
        bugs: Sequence[Bug] = (),
    ) -> None:
        """Publish in one step the outcomes, the parts and their bugs, and the file that holds all regions.

        Without parts, that file stays as it is. Raises `Fenced`.
        """
        audit = audit_of_region_split(split)
        published: list[str | bytes | int] = []
        for part in parts:
            published += [region_number(part.name), part.SerializeToString(), part.predicted_class]
        done: list[str | bytes | int] = []
        for number, outcome in outcomes.items():
            done += [number, task_name(audit, number), outcome.to_json()]
        grouped: list[str | bytes | int] = []
        for bug in bugs:
            grouped += [parse_bug_name(bug.name)[1], bug.SerializeToString()]
        answer = await self._publish(
            [
                redis_keys.resource(split),
                redis_keys.resource(audit),
                redis_keys.regions(audit),
                redis_keys.predictions(audit),
                redis_keys.region_splits(audit),
                redis_keys.LABEL_MIXED,
                redis_keys.bugs(audit),
            ],
            [
                *(split, audit, attempt, _UNFINISHED, regions_artifact),
                *(len(outcomes), len(bugs)),
                *(*done, *grouped, *published),
            ],
        )
        if answer == -1:
            raise Fenced(split, attempt)

    async def _waiting(self) -> dict[str, list[str]]:
        """Return the names of the regions that wait, by audit."""
        members = cast("set[bytes]", await cast("Any", self._redis.smembers(redis_keys.LABEL_MIXED)))
        waiting: dict[str, list[str]] = {}
        for name in sorted(member.decode() for member in members):
            waiting.setdefault(parse_task_name(name)[0], []).append(name)
        return waiting


def _with_numbers(regions: Sequence[str]) -> list[str | int]:
    """Return the name and the number of the task of each bug or region, by turns."""
    return [entry for name in regions for entry in (name, parse_task_name(name)[1])]
