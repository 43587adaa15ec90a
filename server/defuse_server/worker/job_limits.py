"""The limits of a job. An inspection's are its own: it opens what nobody has seen, while people wait."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from defuse_server.host.settings import GIBIBYTE, Settings

_FILE_SIZE_BYTES: Final = 8 << 30
_OPEN_FILES: Final = 256
_OF_A_DATASET: Final = 10
"""Times an inspection's seconds if it reads a dataset: gigabytes to read, or a thousand images to answer."""
_COPIES_OF_A_MODEL: Final = 12
"""Bytes of memory for each byte of a model's file. Measured on files of 200 and 800 MB: 11."""


@dataclass(frozen=True)
class JobLimits:
    """Limits in bytes and seconds; `wall_s` 0 is none."""

    memory_bytes: int
    cpu_s: int
    batch_s: int
    wall_s: int
    settings: Mapping[str, str]
    """Name of a limit -> the operator's setting for it."""

    def to_json(self) -> dict[str, int]:
        """Return the `limits` of job.json."""
        limits = {
            "memory_bytes": self.memory_bytes,
            "wall_s": self.wall_s,
            "batch_s": self.batch_s,
            "cpu_s": self.cpu_s,
            "file_size_bytes": _FILE_SIZE_BYTES,
            "open_files": _OPEN_FILES,
        }
        return {name: limit for name, limit in limits.items() if limit}


def limits_of(kind: str, inputs: Sequence[Path], settings: Settings) -> JobLimits:
    """Return the limits of a job of this kind (see docs/job-folder.md) with these input files."""
    job_memory = {"memory_bytes": "DEFUSE_JOB_MEMORY_BYTES"}
    if not kind.startswith("inspect_"):
        names = {**job_memory, "cpu_s": "DEFUSE_JOB_CPU_S", "batch_s": "DEFUSE_BATCH_S"}
        return JobLimits(settings.job_memory_bytes, settings.job_cpu_s, settings.batch_s, 0, names)
    reads_dataset = any(path.suffix == ".npz" for path in inputs)
    size_bytes = sum(path.stat().st_size for path in inputs if path.suffix == ".onnx")
    wall_s = settings.inspection_s * (_OF_A_DATASET if reads_dataset else 1)
    wall_s += settings.inspection_s * size_bytes // GIBIBYTE
    names = {
        "memory_bytes": "DEFUSE_INSPECTION_MEMORY_BYTES",
        **dict.fromkeys(("wall_s", "cpu_s", "batch_s"), "DEFUSE_INSPECTION_S"),
    }
    memory_bytes = settings.inspection_memory_bytes + _COPIES_OF_A_MODEL * size_bytes
    if reads_dataset or memory_bytes >= settings.job_memory_bytes:
        # A dataset is read as a whole, and so it is by the jobs that follow.
        memory_bytes, names = settings.job_memory_bytes, {**names, **job_memory}
    # The kernel holds this one, also while the supervisor is stopped.
    cpu_s = wall_s * (settings.threads or os.cpu_count() or 1)
    return JobLimits(memory_bytes, cpu_s, settings.inspection_s, wall_s, names)
