"""The interface of a model registry. To support another one, write a module with such a class."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self


@dataclass(frozen=True)
class OnnxFile:
    """The fetched ONNX file of a version."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the file with its digest."""
        with path.open("rb") as file:
            return cls(path, hashlib.file_digest(file, "sha256").hexdigest())


class Registry(Protocol):
    """Versions of models, with aliases that say which version is in use.

    Every method raises `RegistryUnavailable` if the registry does not answer, and `RegistryError` if it does
    not have what was asked for. All of them block, so call none from an event loop.
    """

    def fetch(self, model: str, version: str, folder: Path) -> OnnxFile:
        """Copy a version's ONNX file into an empty folder."""
        ...

    def aliased_version(self, model: str, alias: str) -> str:
        """Return the version that the alias points to. Raises `RegistryError` if there is no such alias."""
        ...

    def tags(self, model: str, version: str | None = None) -> dict[str, str]:
        """Return a version's tags, or with None those of the model itself."""
        ...

    def tag(self, model: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Set tags of a version; the value None removes a tag, if it is there."""
        ...

    def attach(self, model: str, version: str, files: Sequence[Path], folder: str) -> None:
        """Store files with a version, in `folder` (parts joined by `/`), replacing those of the same name."""
        ...

    def move_alias(self, model: str, alias: str, version: str, *, expected: str) -> None:
        """Point the alias to a version. Raises `AliasMoved` unless it points to `expected` before."""
        ...
