"""`regions.npz`: all regions of an audit as arrays, in the form that docs/job-folder.md describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from defuse_engine.covariance import MOST_AXES, Covariance, FullCovariance, LowRankCovariance
from defuse_engine.errors import JobInvalid
from defuse_engine.job_folder.output_files import write_whole
from defuse_engine.types import Regions

_ARRAYS = tuple(field.name for field in fields(Regions) if field.name not in ("covariances", "tau"))
"""Those of both forms."""


def write_regions(path: Path, regions: Regions) -> None:
    """Write the file whole or not at all."""
    arrays = {name: getattr(regions, name) for name in _ARRAYS}
    first = {name: arrays.pop(name) for name in ("weights", "means")}
    arrays = first | _as_arrays(regions) | arrays
    tau = np.float64(regions.tau)
    write_whole(path, lambda stream: np.savez(stream, allow_pickle=False, **arrays, tau=tau))


def read_regions(path: Path) -> Regions:
    """Read the file; raises `JobInvalid` if it is none, or its arrays do not belong together."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            factors = ("axes", "noise") if "axes" in file else ("covariances",)
            of_covariances = {name: file[name] for name in factors}
            tau = float(file["tau"])
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise JobInvalid(f"expected the regions.npz of an audit, {path.name} is none: {error}") from error
    _check(path.name, {**arrays, **of_covariances})
    return Regions(**arrays, covariances=tuple(_covariances(of_covariances)), tau=tau)


def joined(first: Regions, second: Regions) -> Regions:
    """Return the regions of both, the second's numbered behind the first's; tau is the first's."""
    arrays = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in _ARRAYS}
    offsets = [first.member_offsets, first.member_offsets[-1] + second.member_offsets[1:]]
    return Regions(
        **{**arrays, "member_offsets": np.concatenate(offsets)},
        covariances=first.covariances + second.covariances,
        tau=first.tau,
    )


def _as_arrays(regions: Regions) -> dict[str, np.ndarray]:
    """Return the file's arrays of covariances: factors of large codes, matrices of small ones.

    Regions that were read from an older file may have matrices of large codes: then all are written so.
    """
    count, size = regions.means.shape
    low_rank = [one for one in regions.covariances if isinstance(one, LowRankCovariance)]
    if size <= MOST_AXES or len(low_rank) < count:
        matrices = [one.matrix() for one in regions.covariances]
        return {"covariances": np.array(matrices, np.float64).reshape(count, size, size)}
    most = max((one.axes.shape[1] for one in low_rank), default=0)
    axes = np.zeros((count, size, most), np.float32)
    for row, one in zip(axes, low_rank, strict=True):
        row[:, : one.axes.shape[1]] = one.axes
    noise = np.array([one.noise for one in low_rank], np.float32).reshape(count, size)
    return {"axes": axes, "noise": noise}


def _covariances(arrays: Mapping[str, np.ndarray]) -> Iterator[Covariance]:
    """Give views of the file's arrays: no region holds a copy."""
    if "covariances" in arrays:
        yield from map(FullCovariance, arrays["covariances"])
        return
    for row, noise in zip(arrays["axes"], arrays["noise"], strict=True):
        # Without the zeros behind its own axes a region has the samples that it had when it was written.
        yield LowRankCovariance(row[:, : np.count_nonzero(row.any(axis=0))], noise)


def _check(file: str, arrays: Mapping[str, np.ndarray]) -> None:
    count, size = arrays["means"].shape if arrays["means"].ndim == 2 else (-1, -1)
    # How many axes there are only the array itself tells.
    axes = arrays.get("axes", np.zeros(0))
    expected: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("weights", "seed_labels", "predicted_classes", "sizes"), (count,)),
        "member_offsets": (count + 1,),
        "covariances": (count, size, size),
        "axes": (count, size, axes.shape[2] if axes.ndim == 3 else -1),
        "noise": (count, size),
    }
    if any(name in arrays and arrays[name].shape != shape for name, shape in expected.items()):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise JobInvalid(f"arrays of {file} must agree on the number of regions, got {shapes}")
