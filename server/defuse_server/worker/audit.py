"""Audits: publishes chunks as they come, and regions, bugs and label tasks after the search."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from defuse.v1 import audit_service_pb2 as pb
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server.backend import Backend
from defuse_server.findings.chunks import Chunk
from defuse_server.findings.regions import READERS_ARTIFACT, REGIONS_ARTIFACT
from defuse_server.jobs.job_inputs import JobInputs
from defuse_server.labels import labeling_rule as labeling
from defuse_server.labels.queue import GoldSheets
from defuse_server.names import FIRST_BUG, artifact_name
from defuse_server.worker import job_metrics
from defuse_server.worker.engine_events import ChunkReady, Preflight
from defuse_server.worker.job_config import config_json, fill_in
from defuse_server.worker.job_folder import JobPlan
from defuse_server.worker.transcode import (
    SHEETS,
    bug_message,
    contact_sheet_message,
    delimited_chunk,
    region_message,
    stored_sheets,
)
from defuse_server.worker.work import WarnedWork, figures_of

_CHUNKS_PAGE = 1000
GOLD_SHEETS_PER_CLASS: Final = 3


class AuditWork(WarnedWork[pb.Audit]):
    """The work of one audit."""

    async def plan(self) -> JobPlan:
        """Plan the search, beginning after the shards that an earlier attempt finished."""
        audit = self.message
        # This attempt gives the warnings of an earlier one again.
        del audit.warnings[:]
        return JobPlan(
            "audit",
            await audit_inputs(audit, self.backend),
            config={**config_json(audit.config), **_gold_sheets(audit.config)},
            random_seed=audit.config.seed,
            device=audit.config.device,
            finished_chunks=await finished_chunks(audit.name, self.backend),
        )

    async def on_preflight(self, event: Preflight) -> None:
        """Show the figures, even if they end the job."""
        self.message.preflight.CopyFrom(figures_of(pb.PreflightFigures, event.figures))
        await self.attempt.update(self.message)

    async def on_chunk(self, event: ChunkReady, folder: Path) -> None:
        """Store a shard as arrays to resume from and as messages to stream, then publish it."""
        file = folder / event.file
        store = self.backend.store
        arrays = await store.put_file(file)
        messages = await store.put_bytes(await asyncio.to_thread(delimited_chunk, file, event.shard))
        published = await self.backend.chunks.append(
            self.message.name,
            Chunk(
                shard=event.shard,
                sha256=messages.sha256,
                size_bytes=messages.size_bytes,
                records=event.records,
                candidates=event.candidates,
                arrays_sha256=arrays.sha256,
                seeds=event.seeds,
            ),
            self.attempt.number,
        )
        if published:
            job_metrics.count_found(event.candidates, event.records)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Publish regions and bugs, open the bugs to annotators, and fill in the configuration used."""
        audit = self.message
        fill_in(audit.config, result["config"], self.backend.settings.device)
        labeling.fill_in(audit.config)
        audit.preflight.CopyFrom(figures_of(pb.PreflightFigures, result["preflight"]))
        audit.seed_count = result["seeds"]
        _fill_in_search(audit, result)
        self.set_warnings(result)
        regions_file = await self.backend.store.put_file(folder / "output" / "regions.npz")
        await self.attempt.remember(REGIONS_ARTIFACT, regions_file.name)
        # The paper's search asks no network.
        if result["readers"]:
            readers = await self.backend.store.put_file(folder / result["readers"])
            await self.attempt.remember(READERS_ARTIFACT, readers.name)
        for region in result["regions"]:
            sheets = await stored_sheets(self.backend.store, region, folder)
            message = region_message(audit.name, region, sheets, regions_file.name)
            await self.backend.regions.publish(audit.name, message, self.attempt.number)
        for bug in result["bugs"]:
            sheets = await stored_sheets(self.backend.store, bug, folder)
            message = bug_message(audit.name, bug, sheets)
            await self.backend.bugs.publish(audit.name, message, self.attempt.number)
        numbers = [FIRST_BUG + bug["index"] for bug in result["bugs"]]
        await self.backend.labels.open(audit.name, numbers, audit.config.annotators_per_region)
        golds = [await self._gold(gold, folder) for gold in result["gold"]]
        await self.backend.labels.open_gold(audit.name, golds)

    async def _gold(self, gold: Mapping[str, Any], folder: Path) -> GoldSheets:
        sheets = await stored_sheets(self.backend.store, gold, folder)
        return GoldSheets(gold["label"], *(contact_sheet_message(gold[kind], sheets) for kind in SHEETS))


async def audit_inputs(audit: pb.Audit, backend: Backend) -> JobInputs:
    """Return the classifier, the VAE and the dataset of an audit. Raises `NotFound`."""
    fetch = backend.resources.fetch
    inputs = JobInputs().classifier("classifier", await fetch(Classifier, audit.classifier))
    return inputs.vae(await fetch(Vae, audit.vae)).dataset(await fetch(Dataset, audit.dataset))


async def finished_chunks(audit: str, backend: Backend) -> dict[int, str]:
    """Return an audit's finished shards, in their order, with the artifacts of the engine's files."""
    finished: dict[int, str] = {}
    while page := await backend.chunks.list(audit, len(finished), _CHUNKS_PAGE):
        finished.update((chunk.shard, artifact_name(chunk.arrays_sha256)) for chunk in page)
    return finished


def _gold_sheets(config: pb.AuditConfig) -> dict[str, Any]:
    """What the audit's own job has beside its search: jobs that repeat the search need no gold tasks."""
    return {"gold_sheets": GOLD_SHEETS_PER_CLASS} if config.labeling.gold_rate > 0 else {}


def _fill_in_search(audit: pb.Audit, result: Mapping[str, Any]) -> None:
    """Fill in the findings after each shard, why the search ended, and its calibration."""
    del audit.saturation[:]
    audit.saturation.extend(pb.SaturationPoint(**point) for point in result["saturation"])
    stopped = pb.StopReason.Value(f"STOP_REASON_{result['stop_reason'].upper()}")
    audit.stop_reason = cast("pb.StopReason", stopped)
    audit.ClearField("calibration")
    if figures := result["calibration"]:
        audit.calibration.CopyFrom(pb.CalibrationFigures(**figures))
