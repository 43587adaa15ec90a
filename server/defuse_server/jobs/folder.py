"""Builds a job's folder (docs/job-folder.md) from what the records name and the artifact store holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from defuse.v1.models_pb2 import (
    LAYOUT_FLAT,
    LAYOUT_NHWC,
    OUTPUT_KIND_PROBABILITIES,
    Preprocessing,
)
from defuse.v1.registry_service_pb2 import (
    VAE_SPREAD_LOGVAR,
    VAE_SPREAD_NONE,
    VAE_SPREAD_SIGMA,
    Classifier,
    Dataset,
    Vae,
    VaeSpread,
    VaeTensors,
)

from defuse_server.settings import Settings
from defuse_server.store.artifacts import ArtifactStore

FILE_SIZE_LIMIT_BYTES = 8 << 30
OPEN_FILES_LIMIT = 256
SPREAD_KINDS: Mapping[VaeSpread, str] = {
    VAE_SPREAD_LOGVAR: "logvar",
    VAE_SPREAD_SIGMA: "sigma",
    VAE_SPREAD_NONE: "none",
}
CHUNK_FILE = "output/chunks/misclassifications-{shard:05d}.npz"


@dataclass
class JobInputs:
    """The `inputs` of a job.json, and which artifact each of its files is."""

    entries: dict[str, Any] = field(default_factory=lambda: cast("dict[str, Any]", {}))
    files: dict[str, str] = field(default_factory=lambda: cast("dict[str, str]", {}))
    """Path in the job folder -> `artifacts/{sha256}`."""

    def classifier(self, entry: str, classifier: Classifier) -> None:
        """Add a classifier as `classifier` or `candidate`."""
        probabilities = classifier.output_kind == OUTPUT_KIND_PROBABILITIES
        self.entries[entry] = {
            "file": self._file(f"{entry}.onnx", classifier.artifact),
            "preprocessing": preprocessing_json(classifier.preprocessing),
            "output_kind": "probabilities" if probabilities else "logits",
            **({"output": classifier.output_name} if classifier.output_name else {}),
        }

    def vae(self, vae: Vae) -> None:
        """Add the VAE: its two files, or the one that holds both halves."""
        self.entries["vae"] = {
            "encoder": self._file("encoder.onnx", vae.encoder_artifact),
            "preprocessing": preprocessing_json(vae.preprocessing),
        }
        if vae.decoder_artifact:
            self.entries["vae"]["decoder"] = self._file("decoder.onnx", vae.decoder_artifact)
        tensors = tensors_json(vae.tensors)
        if tensors:
            self.entries["vae"]["tensors"] = tensors

    def dataset(self, dataset: Dataset) -> None:
        """Add the dataset."""
        entry: dict[str, Any] = {"file": self._file("dataset.npz", dataset.artifact)}
        if dataset.layout == LAYOUT_NHWC:
            entry["layout"] = "NHWC"
        if dataset.class_names:
            entry["class_names"] = list(dataset.class_names)
        self.entries["dataset"] = entry

    def regions(self, artifact: str) -> None:
        """Add an audit's file of regions."""
        self.entries["regions"] = {"file": self._file("regions.npz", artifact)}

    def misclassifications(self, chunks: Mapping[int, str]) -> None:
        """Add an audit's chunk files: shard -> artifact, in shard order."""
        files = [self._file(f"misclassifications-{shard:05d}.npz", name) for shard, name in chunks.items()]
        self.entries["misclassifications"] = {"files": files}

    def _file(self, name: str, artifact: str) -> str:
        path = f"inputs/{name}"
        self.files[path] = artifact
        return path


@dataclass(frozen=True)
class JobPlan:
    """All that a job.json says, but for what is the server's to say."""

    kind: str
    inputs: JobInputs
    config: Mapping[str, Any] = field(default_factory=lambda: cast("dict[str, Any]", {}))
    seed: int = 0
    device: str = ""
    """Empty: the server's default."""
    finished_chunks: Mapping[int, str] = field(default_factory=lambda: cast("dict[int, str]", {}))
    """Shard -> artifact of its chunk file: what an earlier attempt got done."""


async def build_folder(folder: Path, plan: JobPlan, store: ArtifactStore, settings: Settings) -> None:
    """Write `plan` into the empty directory `folder`. Raises `NotFound` where the store lacks an input."""
    finished = {CHUNK_FILE.format(shard=shard): name for shard, name in plan.finished_chunks.items()}
    for path, artifact in {**plan.inputs.files, **finished}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        await store.fetch_to(artifact.removeprefix("artifacts/"), target)
    (folder / "output" / "chunks").mkdir(parents=True, exist_ok=True)
    job = {
        "kind": plan.kind,
        "seed": plan.seed,
        "device": plan.device or settings.device,
        "threads": settings.threads,
        "limits": _limits(settings),
        "inputs": plan.inputs.entries,
        "config": plan.config,
    }
    (folder / "job.json").write_text(json.dumps(job))


def _limits(settings: Settings) -> dict[str, int]:
    limits = {
        "memory_bytes": settings.job_memory_bytes,
        "cpu_s": settings.job_cpu_s,
        "file_size_bytes": FILE_SIZE_LIMIT_BYTES,
        "open_files": OPEN_FILES_LIMIT,
    }
    return {name: limit for name, limit in limits.items() if limit}


def preprocessing_json(preprocessing: Preprocessing) -> dict[str, Any]:
    """A preprocessing as job.json has it; what is unset takes its default."""
    layout = {LAYOUT_NHWC: "NHWC", LAYOUT_FLAT: "FLAT"}.get(preprocessing.layout, "NCHW")
    return {
        "layout": layout,
        "scale": preprocessing.scale or 1.0,
        "mean": list(preprocessing.mean) or [0.0],
        "std": list(preprocessing.std) or [1.0],
    }


def tensors_json(tensors: VaeTensors) -> dict[str, str]:
    """Names of a VAE's tensors as job.json has them; what is left to be found is left out."""
    names = {"mu": tensors.mu, "spread": tensors.spread, "code": tensors.code, "image": tensors.image}
    kind = SPREAD_KINDS.get(tensors.spread_kind, "")
    return {key: value for key, value in {**names, "spread_kind": kind}.items() if value}
