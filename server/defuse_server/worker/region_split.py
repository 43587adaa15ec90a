"""Region splits: the engine takes MIXED bugs and regions apart, and their parts are published as new ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from defuse.v1.audit_service_pb2 import Audit, Region, RegionSplit
from defuse.v1.models_pb2 import Failure

from defuse_server.findings.region_splits import RegionSplitOutcome
from defuse_server.names import (
    FIRST_BUG,
    audit_of_region_split,
    parse_task_name,
    region_number,
    task_name,
)
from defuse_server.worker.audit import audit_inputs, finished_chunks
from defuse_server.worker.job_config import config_json
from defuse_server.worker.job_folder import JobPlan
from defuse_server.worker.transcode import bug_message, region_message, stored_sheets
from defuse_server.worker.work import WarnedWork

REGION_SPLITS_MAX: Final = 3
"""A bug or region, its parts and their parts can be split this often in a row."""


class RegionSplitWork(WarnedWork[RegionSplit]):
    """The work of one region split: all bugs, or all regions, of one audit that wait."""

    async def plan(self) -> JobPlan | None:
        """Plan with the audit's inputs, regions and misclassifications, or None if nothing can be split."""
        audit = await self.backend.resources.fetch(Audit, audit_of_region_split(self.message.name))
        # A worker may have died between publishing parts and this.
        await self._open(audit)
        numbers = await self._splittable(audit)
        if not numbers:
            return None
        self.message.regions[:] = [task_name(audit.name, number) for number in numbers]
        del self.message.warnings[:]
        await self.attempt.update(self.message)
        inputs = await audit_inputs(audit, self.backend)
        inputs.regions(await self.backend.regions.artifact(audit.name))
        inputs.readers(await self.backend.regions.readers_artifact(audit.name))
        inputs.misclassifications(await finished_chunks(audit.name, self.backend))
        config = {
            "regions": [number for number in numbers if number < FIRST_BUG],
            "bugs": [await self._cells(audit, number) for number in numbers if number >= FIRST_BUG],
            "first_bug": await self.backend.bugs.count(audit.name),
            "audit": config_json(audit.config),
        }
        return JobPlan.of(audit.config, "split", inputs, config)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Publish the parts, or why something has none, and open the parts to annotators."""
        audit = await self.backend.resources.fetch(Audit, audit_of_region_split(self.message.name))
        self.set_warnings(result)
        store = self.backend.store
        file = await store.put_file(folder / "output" / "regions.npz")
        parts: list[Region] = []
        for region in result["regions"]:
            sheets = await stored_sheets(store, region, folder)
            parts.append(region_message(audit.name, region, sheets, file.name))
        bugs = [
            bug_message(audit.name, bug, await stored_sheets(store, bug, folder)) for bug in result["bugs"]
        ]
        artifact = file.name if parts else ""
        await self.backend.region_splits.publish(
            self.message.name, self.attempt.number, _outcomes(result), parts, artifact, bugs
        )
        await self._open(audit)

    async def give_up(self, failure: Failure) -> None:
        """Publish that everything stays whole, or it would be split again and again."""
        name, attempt = self.message.name, self.attempt.number
        numbers = await self.backend.region_splits.take(name, attempt)
        reason = f"the region split failed: {failure.message}"
        await self.backend.region_splits.publish(
            name, attempt, {number: RegionSplitOutcome(reason=reason) for number in numbers}
        )

    async def _cells(self, audit: Audit, number: int) -> dict[str, Any]:
        """Return a MIXED bug as the engine's config has it."""
        bug = await self.backend.bugs.get(task_name(audit.name, number))
        return {"bug": number - FIRST_BUG, "cells": [region_number(cell) for cell in bug.cells]}

    async def _open(self, audit: Audit) -> None:
        """Make tasks of all published bugs that have none; of the regions if the audit has no bugs."""
        bugs = await self.backend.bugs.count(audit.name)
        numbers = range(FIRST_BUG, FIRST_BUG + bugs)
        if not bugs:
            numbers = range(await self.backend.regions.count(audit.name))
        await self.backend.labels.open(audit.name, numbers, audit.config.annotators_per_region)

    async def _splittable(self, audit: Audit) -> list[int]:
        """Take the regions that wait, and publish that those that were split too often stay whole."""
        name, attempt = self.message.name, self.attempt.number
        numbers = await self.backend.region_splits.take(name, attempt)
        reason = f"it comes from {REGION_SPLITS_MAX} splits in a row, and is not split again"
        last = {
            number: RegionSplitOutcome(reason=reason)
            for number in numbers
            if await self._level(audit.name, number) >= REGION_SPLITS_MAX
        }
        if last:
            await self.backend.region_splits.publish(name, attempt, last)
        return [number for number in numbers if number not in last]

    async def _level(self, audit: str, number: int) -> int:
        """Return how many splits a bug or region comes from."""
        findings = self.backend.regions if number < FIRST_BUG else self.backend.bugs
        parent = (await findings.get(task_name(audit, number))).parent
        return 1 + await self._level(*parse_task_name(parent)) if parent else 0


def _outcomes(result: Mapping[str, Any]) -> dict[int, RegionSplitOutcome]:
    """Return the outcomes by task number. The parts of a bug are bugs."""
    parts: dict[int, list[int]] = {}
    of_bugs = {cell for bug in result["bugs"] for cell in bug["cells"]}
    for region in result["regions"]:
        if region["index"] not in of_bugs:
            parts.setdefault(region["parent"], []).append(region["index"])
    for bug in result["bugs"]:
        parts.setdefault(FIRST_BUG + bug["parent"], []).append(FIRST_BUG + bug["index"])
    reasons = [(entry["region"], entry["reason"]) for entry in result["unsplit"]]
    reasons += [(FIRST_BUG + entry["bug"], entry["reason"]) for entry in result["unsplit_bugs"]]
    whole = {number: RegionSplitOutcome(reason=reason) for number, reason in reasons}
    return {**whole, **{number: RegionSplitOutcome(tuple(indices)) for number, indices in parts.items()}}
