"""Files of the output folder, written under a temporary name and renamed: a file that exists is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints
from zipfile import BadZipFile

import numpy as np

from defuse_engine.errors import JobInvalid
from defuse_engine.types import Chunk, Misclassifications, concatenate

_DTYPES = {name: array.dtypes[0] for name, array in get_type_hints(Misclassifications).items()}
"""Those that the arrays are declared with."""
_COUNTS = ("candidates", "seeds", "not_finite")


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file by `write(stream)`; readers see all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            write(stream)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a result; the same value gives the same bytes."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_whole(path, lambda stream: stream.write(text.encode()))


def chunk_path(output: Path, shard: int) -> Path:
    """Return the path of a shard's chunk."""
    return output / "chunks" / f"misclassifications-{shard:05d}.npz"


def write_chunk(path: Path, chunk: Chunk) -> None:
    """Write a chunk; the same chunk gives the same bytes (numpy stores no time of writing)."""
    arrays = {name: getattr(chunk.misclassifications, name).astype(dtype) for name, dtype in _DTYPES.items()}
    counts = {name: np.int64(getattr(chunk, name)) for name in _COUNTS}
    write_whole(path, lambda stream: np.savez(stream, allow_pickle=False, **arrays, **counts))


def read_found(paths: Sequence[Path]) -> Misclassifications | None:
    """Read the chunks of an audit, in their order; None if there is none. Raises `JobInvalid`."""
    return concatenate([read_chunk(path).misclassifications for path in paths]) if paths else None


def read_chunk(path: Path) -> Chunk:
    """Read a chunk that an earlier run of the job wrote; raises `JobInvalid` if it is none."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = Misclassifications(**{name: file[name] for name in _DTYPES})
            # Older versions did not count candidates that are not finite.
            return Chunk(found, **{name: int(file[name]) for name in _COUNTS if name in file})
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise JobInvalid(f"{path.name} is no chunk of an earlier run: {error}. Remove it") from None
