"""`job.json` (`docs/job-folder.md`), read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from defuse_engine.errors import JobInvalid
from defuse_engine.strict_json import Fields, text
from defuse_engine.types import OUTPUT_KINDS, OutputKind, Preprocessing, VaeTensors

Entry = TypeVar("Entry")
Kind = Literal[
    "inspect_classifier",
    "inspect_vae",
    "inspect_dataset",
    "audit",
    "split",
    "correct",
    "evaluate",
    "train_vae",
]
_INPUTS: dict[Kind, tuple[str, ...]] = {
    "inspect_classifier": ("classifier",),
    "inspect_vae": ("vae",),
    "inspect_dataset": ("dataset",),
    "audit": ("classifier", "vae", "dataset"),
    "split": ("classifier", "vae", "dataset", "regions", "misclassifications"),
    "correct": ("classifier", "vae", "dataset", "regions"),
    "evaluate": ("classifier", "vae", "dataset", "regions", "candidate"),
    "train_vae": ("classifier", "dataset"),
}
_OPTIONAL: dict[Kind, tuple[str, ...]] = {
    "inspect_classifier": ("dataset",),
    "split": ("readers",),
    "correct": ("misclassifications", "readers"),
}


@dataclass(frozen=True)
class Limits:
    """The limits of the process; None is unlimited."""

    memory_bytes: int | None = None
    wall_s: int | None = None
    """Seconds from the start of the job to its end."""
    batch_s: int | None = None
    """Seconds in which a model must answer a batch."""
    cpu_s: int | None = None
    file_size_bytes: int | None = None
    open_files: int | None = None


@dataclass(frozen=True)
class ClassifierInput:
    """A classifier's file, and its preprocessing and output."""

    file: Path
    preprocessing: Preprocessing
    output_kind: OutputKind
    output: str | None = None
    """Name of the output that holds the scores; None is the only one that can."""


@dataclass(frozen=True)
class VaeInput:
    """A VAE's two files, or the one that holds both halves; both share one preprocessing."""

    encoder: Path
    decoder: Path | None
    """None if `encoder` holds both halves."""
    preprocessing: Preprocessing
    tensors: VaeTensors = field(default_factory=VaeTensors)
    is_ours: bool = False
    """Whether a job of kind `train_vae` made it; advice differs."""


@dataclass(frozen=True)
class DatasetInput:
    """A dataset's file, its layout and its class names."""

    file: Path
    layout: Literal["NCHW", "NHWC"]
    class_names: tuple[str, ...] | None


@dataclass(frozen=True)
class Inputs:
    """The files of a job; None for those that its kind does not use."""

    classifier: ClassifierInput | None = None
    candidate: ClassifierInput | None = None
    vae: VaeInput | None = None
    dataset: DatasetInput | None = None
    regions: Path | None = None
    readers: Path | None = None
    """Those that an audit trained."""
    misclassifications: tuple[Path, ...] = ()
    """An audit's chunk files, in shard order."""


def required(entry: Entry | None) -> Entry:
    """Return an input that the job's kind needs, which `read_job` made sure of."""
    if entry is None:
        raise JobInvalid("job.inputs lacks a file that its kind needs")
    return entry


@dataclass(frozen=True)
class Job:
    """One job; the configuration of its kind reads `config`."""

    folder: Path
    kind: Kind
    random_seed: int
    device: str
    threads: int
    limits: Limits
    inputs: Inputs
    config: object = field(default_factory=dict[str, object])

    @property
    def output(self) -> Path:
        """The folder of all files that the job writes."""
        return self.folder / "output"


def read_job(folder: Path) -> Job:
    """Read FOLDER/job.json; raises `JobInvalid`, which names the key, for anything unknown."""
    try:
        value = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise JobInvalid(f"cannot read job.json: {error.strerror}") from None
    except ValueError as error:
        raise JobInvalid(f"job.json is not JSON: {error}") from None
    with Fields(value, "job") as fields:
        kind: Kind = fields.choice("kind", None, tuple(_INPUTS))
        return Job(
            folder=folder,
            kind=kind,
            random_seed=fields.integer("seed", 0, 0),
            device=fields.text("device", "auto"),
            threads=fields.integer("threads", 0, 0, 1024),
            limits=_limits(fields.raw("limits", {})),
            inputs=_inputs(fields.raw("inputs"), kind, folder),
            config=fields.raw("config", {}),
        )


def _limits(value: object) -> Limits:
    with Fields(value, "job.limits") as fields:
        names = ("memory_bytes", "wall_s", "batch_s", "cpu_s", "file_size_bytes", "open_files")
        return Limits(**{name: fields.integer(name, None, 1) for name in names if name in fields})


def _inputs(value: object, kind: Kind, folder: Path) -> Inputs:
    entries: dict[str, Any] = {}
    with Fields(value, "job.inputs") as fields:
        missing = [name for name in _INPUTS[kind] if name not in fields]
        if missing:
            needed = ", ".join(_INPUTS[kind])
            raise JobInvalid(f"job.inputs of kind {kind} needs {needed}; missing: {missing[0]}")
        given = [name for name in _OPTIONAL.get(kind, ()) if name in fields]
        for name in (*_INPUTS[kind], *given):
            with Fields(fields.raw(name), fields.path(name)) as entry:
                entries[name] = _READERS[name](entry, folder)
    return Inputs(**entries)


def _classifier(fields: Fields, folder: Path) -> ClassifierInput:
    return ClassifierInput(
        file=_file(fields, "file", folder),
        preprocessing=_preprocessing(fields),
        output_kind=fields.choice("output_kind", "logits", OUTPUT_KINDS),
        output=fields.text("output") if "output" in fields else None,
    )


def _vae(fields: Fields, folder: Path) -> VaeInput:
    return VaeInput(
        encoder=_file(fields, "encoder", folder),
        decoder=_file(fields, "decoder", folder) if "decoder" in fields else None,
        preprocessing=_preprocessing(fields),
        tensors=VaeTensors.from_json(fields.raw("tensors", {}), fields.path("tensors")),
        is_ours=fields.choice("trained_by", "user", ("user", "defuse")) == "defuse",
    )


def _dataset(fields: Fields, folder: Path) -> DatasetInput:
    names: tuple[str, ...] | None = None
    if "class_names" in fields:
        names = tuple(text(value, where) for where, value in fields.items("class_names"))
        if len(names) < 2 or len(set(names)) != len(names):
            raise JobInvalid(
                f"{fields.path('class_names')} must hold at least two names, all different; got {names}"
            )
    return DatasetInput(
        file=_file(fields, "file", folder),
        layout=fields.choice("layout", "NCHW", ("NCHW", "NHWC")),
        class_names=names,
    )


def _preprocessing(fields: Fields) -> Preprocessing:
    return Preprocessing.from_json(fields.raw("preprocessing", {}), fields.path("preprocessing"))


def _file(fields: Fields, key: str, folder: Path) -> Path:
    return _inside(fields.text(key), fields.path(key), folder)


def _inside(name: str, where: str, folder: Path) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise JobInvalid(f"{where} must lie inside the job folder, got {name!r}")
    if not (folder / path).is_file():
        raise JobInvalid(f"{where} names {name!r}, which is no file in the job folder")
    return folder / path


_READERS: dict[str, Callable[[Fields, Path], object]] = {
    "classifier": _classifier,
    "candidate": _classifier,
    "vae": _vae,
    "dataset": _dataset,
    "regions": lambda fields, folder: _file(fields, "file", folder),
    "readers": lambda fields, folder: _file(fields, "file", folder),
    "misclassifications": lambda fields, folder: tuple(
        _inside(text(value, where), where, folder) for where, value in fields.items("files")
    ),
}
