"""The results of label tasks: states of regions, answers, and how far these can be trusted."""

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from defuse.v1 import label_service_pb2 as pb
from defuse.v1.audit_service_pb2 import Audit, Bug, RegionState
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import NotFound
from defuse_server.host.redis_client import Script
from defuse_server.labels.answers import KeptTask
from defuse_server.labels.asking_order import asking_order
from defuse_server.labels.bug_labels import region_labels
from defuse_server.labels.labeling_report import labeling_report
from defuse_server.labels.outlook import outlook
from defuse_server.labels.proposals import Proposals, number_of, proposals
from defuse_server.labels.region_label import NOT_OPENED, OPEN_STATES, RegionLabel, read_states
from defuse_server.labels.task_contents import Shown, class_names_of, published
from defuse_server.names import FIRST_BUG, parse_bug_name, parse_task_name
from defuse_server.records.paging import checked_page_size, opened_page_token
from defuse_server.records.resources import Resources

_FOLDER = Path(__file__).parent


class Labeling:
    """The labeling of all audits. Reading states also takes back the leases that have ended."""

    def __init__(self, redis: Redis, resources: Resources) -> None:
        self._redis = redis
        self._resources = resources
        self._states = Script(redis, _FOLDER / "tasks.lua", _FOLDER / "states.lua")
        self._order = Script(redis, _FOLDER / "tasks.lua", _FOLDER / "order.lua")

    async def labels(self, audit: str) -> dict[int, RegionLabel]:
        """Return the labeling state of each region, by its number.

        A region that is a cell of a bug has the state of the bug: see `bug_labels.region_labels`.
        """
        return region_labels(await self.task_states(audit), await self.bugs(audit))

    async def task_states(self, audit: str) -> dict[int, RegionLabel]:
        """Return the labeling state of each task, by its number (see names.py)."""
        return await self._read_states(audit, "")

    async def bugs(self, audit: str) -> builtins.list[Bug]:
        """Return an audit's bugs as they were found, in the order of their numbers."""
        bodies = await cast("Any", self._redis.hgetall(redis_keys.bugs(audit)))
        return [Bug.FromString(bodies[number]) for number in sorted(bodies, key=int)]

    async def freeze(self, audit: str) -> dict[int, RegionLabel]:
        """Do as `labels`, and in the same step mark the decided regions as used: no answer can be undone."""
        return region_labels(await self._read_states(audit, "freeze"), await self.bugs(audit))

    async def proposals(self, audit: str) -> Proposals:
        """Return how far the proposals of an audit's bugs are believed. Raises `NotFound` (the audit)."""
        record = cast("Audit", await self._resources.get(audit))
        return proposals(record, await self.bugs(audit), await self.task_states(audit))

    async def tasks(self, audit: str) -> builtins.list[KeptTask]:
        """Return all tasks with their answers, including gold tasks, in the order of their numbers."""
        fields = await cast("Any", self._redis.hgetall(redis_keys.label_tasks(audit)))
        return [
            KeptTask.from_json(number, fields[str(number).encode()]) for number in sorted(map(int, fields))
        ]

    async def progress(self, audit: str) -> pb.LabelingProgress:
        """Count regions and bugs by state. Raises `NotFound` (the audit)."""
        await self._resources.get(audit)
        bugs, tasks = await self.bugs(audit), await self.task_states(audit)
        labels = region_labels(tasks, bugs)
        fields = await cast("Any", self._redis.hgetall(redis_keys.predictions(audit)))
        predictions = {int(number): int(predicted) for number, predicted in fields.items()}
        # Regions that are published and not yet open are unlabeled, too.
        known = [labels.get(number, NOT_OPENED) for number in labels.keys() | predictions.keys()]
        states = [label.state for label in known]
        return pb.LabelingProgress(
            region_count=len(known),
            unlabeled_count=states.count(RegionState.REGION_STATE_UNLABELED),
            leased_count=states.count(RegionState.REGION_STATE_LEASED),
            labeled_count=states.count(RegionState.REGION_STATE_LABELED),
            mixed_count=states.count(RegionState.REGION_STATE_MIXED),
            invalid_count=states.count(RegionState.REGION_STATE_INVALID),
            set_aside_count=states.count(RegionState.REGION_STATE_SET_ASIDE),
            confirmed_count=sum(label.confirms(predictions[number]) for number, label in labels.items()),
            **_bug_counts(bugs, tasks),
        )

    async def report(self, audit: str) -> pb.LabelingReport:
        """Return how far the answers can be trusted. Raises `NotFound` (the audit)."""
        progress = await self.progress(audit)
        tasks, bugs = await self.task_states(audit), await self.bugs(audit)
        report = labeling_report(audit, await self.tasks(audit), tasks, progress)
        if bugs:
            record = cast("Audit", await self._resources.get(audit))
            report.outlook.CopyFrom(outlook(record, bugs, tasks))
        return report

    async def advice(self, audit: str) -> str:
        """Return whether to go on labeling, as annotators may read it; empty if the audit has no bugs."""
        record = cast("Audit", await self._resources.get(audit))
        bugs = await self.bugs(audit)
        return outlook(record, bugs, await self.task_states(audit)).sentence if bugs else ""

    async def reorder(self, audit: str) -> None:
        """Put the tasks of an audit's bugs into the order of asking. Call this after answers have changed.

        A bug that is opened later is asked about last. Nothing happens if the audit is gone or has no bugs.
        """
        bugs = await self.bugs(audit)
        record = await self._resources.find(Audit, audit) if bugs else None
        if record is not None:
            tasks = await self.task_states(audit)
            order = asking_order(bugs, tasks, proposals(record, bugs, tasks))
            numbers = [FIRST_BUG + number_of(bug) for bug in order]
            await self._order(redis_keys.label_keys(audit), [audit, redis_keys.CHANGED, *numbers])

    async def list(
        self, audit: str, page_size: int, page_token: str, state: int = 0
    ) -> tuple[builtins.list[pb.LabelTask], str]:
        """Return a page of tasks in the order of the regions, without lease tokens, and the next page token.

        Raises `InvalidRequest`, `NotFound` (the audit), `PageTokenInvalid`.
        """
        size = checked_page_size(page_size)
        purpose = f"label-tasks:{audit}:{state}"
        first = await opened_page_token(self._resources.sealer, purpose, page_token) or 0
        record = cast("Audit", await self._resources.get(audit))
        class_names = await class_names_of(self._resources, record)
        labels = await self.task_states(audit)
        numbers = sorted(n for n, label in labels.items() if n >= first and state in (0, label.state))
        found = await published(self._redis, audit, numbers[:size])
        tasks = [
            pb.LabelTask(
                region=shown.name,
                sheet=shown.sheet,
                class_names=class_names,
                state=labels[number].state,
                answer_count=labels[number].answers,
                wanted_count=labels[number].wanted,
            )
            for number, shown in zip(numbers, found, strict=False)
        ]
        if len(numbers) <= size:
            return tasks, ""
        return tasks, await self._resources.sealer.seal(purpose, str(numbers[size]))

    async def shown(self, audit: str, numbers: Sequence[int]) -> builtins.list[Shown]:
        """Return what tasks are about, as it was found. Pass on only what annotators may see."""
        return await published(self._redis, audit, numbers)

    async def sheets(self, name: str) -> Shown:
        """Return only the name, `sheet` and `nearest_sheet` of a task or gold task. Raises `NotFound`."""
        audit, number = parse_task_name(name, "region")
        (found,) = await published(self._redis, audit, [number])
        if not found.HasField("sheet"):
            raise NotFound(name)
        return type(found)(name=found.name, sheet=found.sheet, nearest_sheet=found.nearest_sheet)

    async def _read_states(self, audit: str, mode: str) -> dict[int, RegionLabel]:
        keys = redis_keys.label_keys(audit)
        return read_states(await self._states(keys, [audit, redis_keys.CHANGED, mode]))


def _bug_counts(bugs: Sequence[Bug], tasks: Mapping[int, RegionLabel]) -> dict[str, int]:
    """Return the counts of bugs in a LabelingProgress. A bug that was split counts by its parts."""
    split = {bug.parent for bug in bugs}
    states = {
        bug.name: (bug, tasks.get(FIRST_BUG + parse_bug_name(bug.name)[1], NOT_OPENED))
        for bug in bugs
        if bug.name not in split
    }
    return {
        "bug_count": len(states),
        "open_bug_count": sum(label.state in OPEN_STATES for _, label in states.values()),
        "labeled_bug_count": sum(label.label is not None for _, label in states.values()),
        "confirmed_bug_count": sum(label.confirms(bug.predicted_class) for bug, label in states.values()),
    }
