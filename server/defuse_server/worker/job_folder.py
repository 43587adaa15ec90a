"""Builds a job's folder (docs/job-folder.md) from its plan and the artifact store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from defuse_server.host.settings import Settings
from defuse_server.jobs.job_inputs import JobInputs
from defuse_server.store.artifacts import ArtifactStore
from defuse_server.worker.job_limits import JobLimits, limits_of

CHUNK_FILE = "output/chunks/misclassifications-{shard:05d}.npz"


@dataclass(frozen=True)
class JobPlan:
    """Everything in a job.json except the server's own settings."""

    kind: str
    inputs: JobInputs
    config: Mapping[str, Any] = field(default_factory=lambda: cast("dict[str, Any]", {}))
    random_seed: int = 0
    device: str = ""
    """The server's default if empty."""
    finished_chunks: Mapping[int, str] = field(default_factory=lambda: cast("dict[int, str]", {}))
    """Shard -> artifact of its chunk file, for the shards that an earlier attempt finished."""

    @classmethod
    def of(cls, settings: Any, kind: str, inputs: JobInputs, config: Mapping[str, Any]) -> Self:
        """Return a plan with the random seed and the device that the settings of a job have."""
        return cls(kind, inputs, config, settings.seed, settings.device)


async def build_folder(folder: Path, plan: JobPlan, store: ArtifactStore, settings: Settings) -> JobLimits:
    """Write `plan` into the empty directory `folder`, and return its limits.

    Raises `NotFound` if the store lacks an input.
    """
    finished = {CHUNK_FILE.format(shard=shard): name for shard, name in plan.finished_chunks.items()}
    for path, artifact in {**plan.inputs.files, **finished}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        await store.fetch_to(artifact.removeprefix("artifacts/"), target)
    (folder / "output" / "chunks").mkdir(parents=True, exist_ok=True)
    limits = limits_of(plan.kind, [folder / path for path in plan.inputs.files], settings)
    job = {
        "kind": plan.kind,
        "seed": plan.random_seed,
        "device": plan.device or settings.device,
        "threads": settings.threads,
        "limits": limits.to_json(),
        "inputs": plan.inputs.entries,
        "config": plan.config,
    }
    (folder / "job.json").write_text(json.dumps(job))
    return limits
