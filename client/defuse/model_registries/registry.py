"""What a model registry must be able to do to be gated. A registry is one module with a class like this."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class OnnxFile:
    """A version's ONNX file, as it was fetched."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> OnnxFile:
        """Read the file's digest."""
        with path.open("rb") as file:
            return cls(path, hashlib.file_digest(file, "sha256").hexdigest())


class Registry(Protocol):
    """Versions of models, with aliases that say which version is in use.

    Every method raises RegistryUnavailable where the registry doesn't answer, and RegistryError where it does
    not have what is asked for. They block; none is called from an event loop.
    """

    def fetch(self, model: str, version: str, folder: Path) -> OnnxFile:
        """Copy a version's ONNX file into an empty folder, as its bytes are now."""
        ...

    def bearer(self, model: str, alias: str) -> str:
        """Return the version that bears the alias. Raises RegistryError where none does."""
        ...

    def tags(self, model: str, version: str | None = None) -> dict[str, str]:
        """Return a version's tags, or those of the model itself."""
        ...

    def tag(self, model: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Set tags of a version; None removes one, if it is there."""
        ...

    def attach(self, model: str, version: str, files: Sequence[Path], folder: str) -> None:
        """Store files with a version, below `folder` (parts joined by `/`); those of the same name go."""
        ...

    def move_alias(self, model: str, alias: str, version: str, *, expected: str) -> None:
        """Give the alias to a version, if `expected` still bears it. Raises AliasMoved."""
        ...
