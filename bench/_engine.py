"""Runs engine jobs as subprocesses, as the service does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """A finished job: its folder, its result and its times."""

    folder: Path
    result: dict[str, Any]
    work_s: float
    """Seconds from the first candidate (or step) to the end, without start-up, preflight and encoding."""
    whole_s: float
    """Seconds from the first output line to the end, without start-up and opening files."""


_WORK = ("identify", "correct", "verify", "train")


def run_job(
    folder: Path,
    inputs_folder: Path,
    kind: str,
    inputs: dict[str, Any],
    config: dict[str, Any],
    seed: int,
    device: str,
) -> Run:
    """Run a job in a new `folder` with `inputs` linked to `inputs_folder`. Raises RuntimeError on failure."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "inputs").symlink_to(inputs_folder.resolve())
    job = {"kind": kind, "seed": seed, "device": device, "inputs": inputs, "config": config}
    job["threads"] = int(os.environ.get("THREADS") or 0)
    (folder / "job.json").write_text(json.dumps(job))
    spoke_s: float | None = None
    started_s: float | None = None
    last: dict[str, Any] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "defuse_engine", str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = json.loads(line)
            spoke_s = spoke_s or time.monotonic()
            if started_s is None and last.get("stage") in _WORK:
                started_s = time.monotonic()
    ended_s = time.monotonic()
    if last.get("event") != "result":
        raise RuntimeError(f"expected the {kind} job in {folder} to end with a result; it ended with {last}")
    result = json.loads((folder / "output" / "result.json").read_text())
    return Run(folder, result, ended_s - (started_s or ended_s), ended_s - (spoke_s or ended_s))
