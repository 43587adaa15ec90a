"""What each kind of job does: the `config` objects of a job file.

The contract declares the settings that a user has, with their defaults and ranges (`setting_table.py`); the
others are declared here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from typing import Any, Literal, TypeVar, cast

from defuse_engine.errors import JobInvalid
from defuse_engine.setting import Setting
from defuse_engine.setting_table import SETTINGS
from defuse_engine.strict_json import Fields, integer
from defuse_engine.types import Described

Preset = Literal["default", "paper"]
PRESETS: tuple[Preset, ...] = ("default", "paper")
MethodName = Literal["paper", "neighbourhood", "gradient"]
METHODS: tuple[MethodName, ...] = ("paper", "neighbourhood", "gradient")

LEAST_CODES = 10
"""Codes that a region needs at least; with fewer there is no telling a region from scattered points."""

PAPER_CONCENTRATION = 50.0
"""a = b of the Beta noise of `preset: paper` (arXiv 2102.06162, section 4)."""


Read = Callable[[Fields, str, Any], Any]
"""Returns the value of a key, or a default if the key is absent. Raises `JobInvalid`."""


def _declared(name: str, read: Read | None = None, **changes: Any) -> Any:
    """A field whose setting the contract declares, with what is different in a job file."""
    return _setting(replace(SETTINGS[name], **changes), read)


def _own(default: int, least: int, most: int = 2**63 - 1) -> Any:
    """A field whose setting only the engine has."""
    return _setting(Setting(default, least, most))


def _setting(setting: Setting, read: Read | None = None) -> Any:
    return field(default=setting.default, metadata={"setting": setting, "read": read or setting.read})


def _settings(config: Any) -> Iterator[tuple[str, Setting]]:
    """Each setting of a config, with its name."""
    return ((one.name, one.metadata["setting"]) for one in fields_of(config) if "setting" in one.metadata)


def _preset(given: Fields, key: str, default: Preset) -> Preset:
    return given.choice(key, default, PRESETS)


def _methods(given: Fields, key: str, default: tuple[MethodName, ...]) -> tuple[MethodName, ...]:
    methods: list[MethodName] = []
    for where, value in given.items(key, default):
        if value not in METHODS:
            raise JobInvalid(f"{where} must be one of {', '.join(METHODS)}, got {value!r}")
        methods.append(value)
    if not methods or len(set(methods)) != len(methods):
        raise JobInvalid(f"{given.path(key)} must name at least one method, each once; got {methods}")
    return tuple(methods)


@dataclass(frozen=True)
class RegionLabel:
    """The class that annotators gave to a region."""

    region: int
    label: int


def _labels(given: Fields, key: str, default: object) -> tuple[RegionLabel, ...]:
    labels: list[RegionLabel] = []
    for where, value in given.items(key):
        with Fields(value, where) as entry:
            labels.append(RegionLabel(entry.integer("region", None, 0), entry.integer("label", None, 0)))
    if len({label.region for label in labels}) != len(labels):
        raise JobInvalid(f"{given.path(key)} names a region twice: give each region one label")
    return tuple(labels)


def _regions(given: Fields, key: str, default: object) -> tuple[int, ...]:
    return tuple(integer(number, at, 0, 10**9) for at, number in given.items(key, ()))


def _mixed_bugs(given: Fields, key: str, default: object) -> tuple[MixedBug, ...]:
    return tuple(MixedBug.from_json(bug, at) for at, bug in given.items(key, ()))


SomeConfig = TypeVar("SomeConfig", bound="_Config")


class _Config(Described):
    """A `config` object."""

    @classmethod
    def from_json(cls: type[SomeConfig], value: object, where: str = "config") -> SomeConfig:
        """Read a config object. Labels and regions are required; other keys have defaults, by preset."""
        values: dict[str, Any] = {}
        with Fields(value, where) as given:
            for one in fields_of(cast(Any, cls)):
                setting: Setting | None = one.metadata.get("setting")
                default = setting.default_of(values.get("preset")) if setting else one.default
                values[one.name] = one.metadata["read"](given, one.name, default)
        return cls(**values)._checked(where)

    def _checked(self: SomeConfig, where: str) -> SomeConfig:
        """Return the config; raise `JobInvalid` if its values do not go together."""
        return self


@dataclass(frozen=True)
class AuditConfig(_Config):
    """What an audit does; `paper_config()` holds the defaults of `preset: paper`."""

    preset: Preset = field(default="default", metadata={"read": _preset})
    methods: tuple[MethodName, ...] = _declared("AuditConfig.methods", _methods)
    max_seeds: int = _declared("AuditConfig.max_seeds", least=0)
    """0 means all train items."""
    candidates_per_seed: int = _declared("AuditConfig.candidates_per_seed")
    """Those around what is found come on top."""
    max_candidates: int = _declared("AuditConfig.max_candidates")
    """0 means no limit."""
    budget_s: float = _declared("AuditConfig.budget_s")
    """0 means no limit."""
    patience_shards: int = _declared("AuditConfig.patience_shards")
    """-1 means never."""
    kept_per_seed: int = _declared("AuditConfig.kept_per_seed")
    noise_scale: float = _declared("AuditConfig.noise_scale")
    neighbours: int = _declared("AuditConfig.neighbours")
    agreement_threshold: float = _declared("AuditConfig.agreement_threshold", above=False)
    belief_threshold: float = _declared("AuditConfig.belief_threshold", above=False)
    shard_seeds: int = _own(500, 1, 1_000_000)
    """Seeds whose results come in one chunk: what a job that was stopped loses at most."""
    batch_size: int = _own(256, 1, 65_536)
    """Images that a model runs on at once, where it takes any number."""
    max_components: int = _own(100, 1, 10_000)
    """Of the mixture of each pair of seed label and predicted class."""
    tau: float = _declared("AuditConfig.tau")
    sheet_samples: int = _own(9, 1, 400)
    """Fresh samples of a bug, or of a region, that annotators are shown."""
    gold_sheets: int = _own(0, 0, 100)
    """Sheets of validation items for each class, to test annotators with."""

    def _checked(self, where: str) -> AuditConfig:
        if self.preset != "paper" and "paper" in self.methods:
            raise JobInvalid(f"{where}.methods: method paper is searched with preset paper alone")
        for name, setting in _settings(self):
            if self.preset == "paper" and setting.fixed and getattr(self, name) != setting.paper:
                raise JobInvalid(
                    f"{where}.{name} is fixed to {setting.paper!r} by preset paper, got "
                    f"{getattr(self, name)!r}; leave it out, or use preset default"
                )
        patience_shards = dict(_settings(self))["patience_shards"].default_of(self.preset)
        return replace(self, patience_shards=self.patience_shards or patience_shards)


def paper_config() -> AuditConfig:
    """Defaults of `preset: paper`: Beta(50, 50) noise, no look at the neighbourhood, tau 0.01."""
    return AuditConfig.from_json({"preset": "paper"})


def _audit(given: Fields, key: str, default: object) -> AuditConfig:
    return AuditConfig.from_json(given.raw(key, {}), given.path(key))


@dataclass(frozen=True)
class CorrectionConfig(_Config):
    """What a correction does, with every default.

    The published settings (arXiv 2102.06162) are those of `preset: paper`: SGD with momentum 0.9, 15 epochs,
    lambda 0.01, tau 0.01.
    """

    labels: tuple[RegionLabel, ...] = field(metadata={"read": _labels})
    preset: Preset = field(default="default", metadata={"read": _preset})
    lambdas: tuple[float, ...] = _declared("CorrectionConfig.lambdas")
    learning_rate: float = _declared("CorrectionConfig.learning_rate")
    epochs: int = _declared("CorrectionConfig.epochs")
    samples_per_region: int = _declared("CorrectionConfig.samples_per_region")
    tau: float = _declared("AuditConfig.tau")
    batch_size: int = _own(64, 1, 65_536)
    audit: AuditConfig = field(default_factory=AuditConfig, metadata={"read": _audit})
    """That of the audit that found the regions: with its seed it tells the train items to step from."""
    audit_seed: int = _own(0, 0)

    def _checked(self, where: str) -> CorrectionConfig:
        if not self.lambdas:
            raise JobInvalid(f"{where}.lambdas must hold at least one value")
        return self


@dataclass(frozen=True)
class EvaluationConfig(_Config):
    """What an evaluation compares; the second search repeats `audit` from other seeds."""

    labels: tuple[RegionLabel, ...] = field(metadata={"read": _labels})
    audit: AuditConfig = field(metadata={"read": _audit})
    audit_seed: int = _own(0, 0)
    samples_per_region: int = _own(200, 1, 100_000)
    tau: float = _declared("AuditConfig.tau")


@dataclass(frozen=True)
class MixedBug:
    """A bug that people called mixed: its number and its cells."""

    bug: int
    cells: tuple[int, ...]

    @classmethod
    def from_json(cls, value: object, where: str) -> MixedBug:
        """Read the object of a config."""
        with Fields(value, where) as fields:
            bug = cls(fields.integer("bug", None, 0), _regions(fields, "cells", ()))
        if not bug.cells:
            raise JobInvalid(f"{where}.cells must name at least one region, got none")
        return bug


@dataclass(frozen=True)
class RegionSplitConfig(_Config):
    """Which bugs or regions of an audit are split; the job's seed is the audit's."""

    regions: tuple[int, ...] = field(default=(), metadata={"read": _regions})
    bugs: tuple[MixedBug, ...] = field(default=(), metadata={"read": _mixed_bugs})
    first_bug: int = _own(0, 0)
    """Number of the first new bug."""
    audit: AuditConfig = field(default_factory=AuditConfig, metadata={"read": _audit})
    """That of the audit that found the regions: its parts are assessed and shown as its regions were."""

    def _checked(self, where: str) -> RegionSplitConfig:
        named = [*self.regions, *(cell for bug in self.bugs for cell in bug.cells)]
        if not named:
            raise JobInvalid(f"{where} must name regions or bugs to split, got neither")
        if len(set(named)) != len(named):
            raise JobInvalid(f"{where} names a region twice: split each region once")
        return self


@dataclass(frozen=True)
class VaeTrainingConfig(_Config):
    """How a VAE is trained."""

    latent_sizes: tuple[int, ...] = _declared("VaeTrainingConfig.latent_sizes")
    """Empty: chosen by the number of values in an image."""
    budget_s: float = _declared("VaeTrainingConfig.budget_s")
    max_steps: int = _own(0, 0)
    """Steps of all settings together; they then say how the budget is shared, and the same seed gives the
    same VAE on the same machine, as long as `budget_s` is not reached. 0: the time alone says it."""
