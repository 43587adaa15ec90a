"""A plain folder as a model registry.

    FOLDER/MODEL/VERSION/model.onnx
    FOLDER/MODEL/VERSION/tags.json        {"name": "value"}; written by the gate
    FOLDER/MODEL/VERSION/defuse/...       the evidence
    FOLDER/MODEL/aliases/ALIAS            a file whose text is the version that the alias points to
    FOLDER/MODEL/tags.json                the model's own tags: `defuse.dataset`, ...

Files appear whole or not at all. A program that changes an alias or tags by other means must hold an
exclusive `flock` on FOLDER/MODEL/.lock while it does, as this module does.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, cast

from defuse._operations.transfer import whole_file
from defuse.model_registries.errors import AliasMoved, RegistryError
from defuse.model_registries.registry import OnnxFile

_MODEL_FILE = "model.onnx"
_ALIASES = "aliases"
_TAGS = "tags.json"


class FolderRegistry:
    """See the module and `Registry`."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise RegistryError(f"expected a folder of models and their versions at {folder}, found none")
        self._folder = folder

    def fetch(self, model: str, version: str, folder: Path) -> OnnxFile:
        """Copy `model.onnx`. The copy is evaluated, whatever happens to the file in the meantime."""
        source = self._version(model, version) / _MODEL_FILE
        if not source.is_file():
            raise RegistryError(f"expected the ONNX file of version {version} at {source}, found none")
        return OnnxFile.of(Path(shutil.copyfile(source, folder / _MODEL_FILE)))

    def aliased_version(self, model: str, alias: str) -> str:
        """Return the content of the alias's file."""
        path = self._alias(model, alias)
        try:
            version = path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise RegistryError(
                f"expected the version of {model} that is in use in the file {path}, found no such file. "
                f"Create it once by hand: mkdir -p {path.parent} && echo VERSION > {path}"
            ) from None
        self._version(model, version)
        return version

    def tags(self, model: str, version: str | None = None) -> dict[str, str]:
        """Read `tags.json`; without the file there are no tags."""
        owner = self._model(model) if version is None else self._version(model, version)
        return _read_tags(owner / _TAGS)

    def tag(self, model: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Change `tags.json` under the model's lock."""
        path = self._version(model, version) / _TAGS
        with self._locked(model):
            kept = {name: value for name, value in _read_tags(path).items() if name not in tags}
            merged = kept | {name: value for name, value in tags.items() if value is not None}
            _write(path, json.dumps(merged, indent=2, sort_keys=True).encode() + b"\n")

    def attach(self, model: str, version: str, files: Sequence[Path], folder: str) -> None:
        """Copy the files to the version's own folder."""
        target = self._version(model, version).joinpath(*PurePosixPath(folder).parts)
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            _write(target / file.name, file.read_bytes())

    def move_alias(self, model: str, alias: str, version: str, *, expected: str) -> None:
        """Compare and set under the model's lock."""
        with self._locked(model):
            found = self.aliased_version(model, alias)
            if found != expected:
                raise AliasMoved(f"expected {alias} of {model} at version {expected}, it is at {found}")
            _write(self._alias(model, alias), f"{version}\n".encode())

    def _model(self, model: str) -> Path:
        path = self._folder / _one_part(model, "a model")
        if not path.is_dir():
            raise RegistryError(f"there is no model {model}: expected the folder {path}")
        return path

    def _version(self, model: str, version: str) -> Path:
        path = self._model(model) / _one_part(version, "a version")
        if version == _ALIASES or not path.is_dir():
            raise RegistryError(f"{model} has no version {version}: expected the folder {path}")
        return path

    def _alias(self, model: str, alias: str) -> Path:
        return self._model(model) / _ALIASES / _one_part(alias, "an alias")

    @contextmanager
    def _locked(self, model: str) -> Generator[None]:
        with (self._model(model) / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _one_part(name: str, what: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise RegistryError(f"expected the name of {what} without / and no dot in front, got {name!r}")
    return name


def _read_tags(path: Path) -> dict[str, str]:
    try:
        read: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise RegistryError(f"expected JSON in {path}, got something else: {error}") from None
    tags = cast("dict[str, object]", read if isinstance(read, dict) else {"": read})
    if not all(isinstance(value, str) for value in tags.values()):
        raise RegistryError(f'expected {{"name": "text", ...}} in {path}, got something else')
    return cast("dict[str, str]", tags)


def _write(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, even after a crash of the machine."""
    # Readable by all, whatever the umask: evidence is there to be read.
    with whole_file(path, mode=0o644) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
