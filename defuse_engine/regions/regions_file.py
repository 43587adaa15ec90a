"""`regions.npz`: all regions of an audit as arrays, in the form that docs/job-folder.md describes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from defuse_engine.errors import JobInvalid
from defuse_engine.job_folder.output_files import write_whole
from defuse_engine.types import Regions

_ARRAYS = tuple(field.name for field in fields(Regions) if field.name != "tau")


def write_regions(path: Path, regions: Regions) -> None:
    """Write the file whole or not at all."""
    arrays = {name: getattr(regions, name) for name in _ARRAYS}
    tau = np.float64(regions.tau)
    write_whole(path, lambda stream: np.savez(stream, allow_pickle=False, **arrays, tau=tau))


def read_regions(path: Path) -> Regions:
    """Read the file; raises `JobInvalid` if it is none, or its arrays do not belong together."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            tau = float(file["tau"])
    except (OSError, ValueError, KeyError) as error:
        raise JobInvalid(f"expected the regions.npz of an audit, {path.name} is none: {error}") from error
    count, size = arrays["means"].shape if arrays["means"].ndim == 2 else (-1, -1)
    per_region = [arrays[name] for name in ("weights", "seed_labels", "predicted_classes", "sizes")]
    if arrays["covariances"].shape != (count, size, size) or any(a.shape != (count,) for a in per_region):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise JobInvalid(f"arrays of {path.name} must agree on the number of regions, got {shapes}")
    return Regions(**arrays, tau=tau)


def joined(first: Regions, second: Regions) -> Regions:
    """Return the regions of both, the second's numbered behind the first's; tau is the first's."""
    arrays = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in _ARRAYS}
    offsets = [first.member_offsets, first.member_offsets[-1] + second.member_offsets[1:]]
    return Regions(**{**arrays, "member_offsets": np.concatenate(offsets)}, tau=first.tau)
