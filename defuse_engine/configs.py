"""What each kind of job does: the `config` objects of a job file.

The contract declares the settings that a user has, with their defaults and ranges (`setting_table.py`); the
others are declared here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from dataclasses import fields as fields_of
from typing import Any, Literal, cast

from defuse_engine.errors import JobInvalid
from defuse_engine.setting import Setting
from defuse_engine.setting_table import SETTINGS
from defuse_engine.strict_json import Fields, integer

Preset = Literal["default", "paper"]
PRESETS: tuple[Preset, ...] = ("default", "paper")
MethodName = Literal["paper", "neighbourhood", "gradient"]
METHODS: tuple[MethodName, ...] = ("paper", "neighbourhood", "gradient")

LEAST_CODES = 10
"""Codes that a region needs at least; with fewer there is no telling a region from scattered points."""

PAPER_CONCENTRATION = 50.0
"""a = b of the Beta noise of `preset: paper` (arXiv 2102.06162, section 4)."""


def _declared(name: str, **changes: Any) -> Any:
    """A field whose setting the contract declares, with what is different in a job file."""
    setting = replace(SETTINGS[name], **changes)
    return field(default=setting.default, metadata={"setting": setting})


def _own(default: int, least: int, most: int = 2**63 - 1) -> Any:
    """A field whose setting only the engine has."""
    return field(default=default, metadata={"setting": Setting(default, least, most)})


class _Config:
    """A `config` object."""

    def to_json(self) -> dict[str, Any]:
        """Every field, as `from_json` reads it."""
        return json.loads(json.dumps(asdict(cast(Any, self))))


@dataclass(frozen=True)
class AuditConfig(_Config):
    """What an audit does; `paper_config()` holds the defaults of `preset: paper`."""

    preset: Preset = "default"
    methods: tuple[MethodName, ...] = _declared("AuditConfig.methods")
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

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> AuditConfig:
        """Read a config object; absent keys take the defaults of its preset."""
        fields = Fields(value, where)
        base = paper_config() if fields.choice("preset", "default", PRESETS) == "paper" else cls()
        config = replace(base, methods=_methods(fields, base.methods), **_read_numbers(fields, base))
        fields.finish()
        config._refuse_what_the_preset_fixes(where)
        return replace(config, patience_shards=config.patience_shards or base.patience_shards)

    def _refuse_what_the_preset_fixes(self, where: str) -> None:
        if self.preset != "paper":
            if "paper" in self.methods:
                raise JobInvalid(f"{where}.methods: method paper is searched with preset paper alone")
            return
        for name, setting in _settings(self):
            if setting.fixed and getattr(self, name) != setting.paper:
                raise JobInvalid(
                    f"{where}.{name} is fixed to {setting.paper!r} by preset paper, got "
                    f"{getattr(self, name)!r}; leave it out, or use preset default"
                )


def _methods(fields: Fields, default: tuple[MethodName, ...]) -> tuple[MethodName, ...]:
    methods: list[MethodName] = []
    for where, value in fields.items("methods", default):
        if value not in METHODS:
            raise JobInvalid(f"{where} must be one of {', '.join(METHODS)}, got {value!r}")
        methods.append(value)
    if not methods or len(set(methods)) != len(methods):
        raise JobInvalid(f"{fields.path('methods')} must name at least one method, each once; got {methods}")
    return tuple(methods)


def _settings(config: Any) -> Iterator[tuple[str, Setting]]:
    """Each setting of a config or of its class, with its name."""
    return ((each.name, each.metadata["setting"]) for each in fields_of(config) if each.metadata)


def _read_numbers(given: Fields, base: Any) -> dict[str, Any]:
    """The numbers of a config by name; absent keys take the values of `base`."""
    return {
        name: setting.read(given, name, getattr(base, name))
        for name, setting in _settings(base)
        if name != "methods"
    }


def _paper_defaults(config: Any) -> dict[str, Any]:
    """The settings that have another default with `preset: paper`."""
    return {name: setting.paper for name, setting in _settings(config) if setting.paper is not None}


def paper_config() -> AuditConfig:
    """Defaults of `preset: paper`: Beta(50, 50) noise, no look at the neighbourhood, tau 0.01."""
    return AuditConfig(preset="paper", **_paper_defaults(AuditConfig))


@dataclass(frozen=True)
class RegionLabel:
    """The class that annotators gave to a region."""

    region: int
    label: int


def read_labels(fields: Fields) -> tuple[RegionLabel, ...]:
    """The list `labels` of a config: each region at most once."""
    labels: list[RegionLabel] = []
    for where, value in fields.items("labels"):
        entry = Fields(value, where)
        labels.append(RegionLabel(entry.integer("region", None, 0), entry.integer("label", None, 0)))
        entry.finish()
    if len({label.region for label in labels}) != len(labels):
        raise JobInvalid(f"{fields.path('labels')} names a region twice: give each region one label")
    return tuple(labels)


@dataclass(frozen=True)
class CorrectionConfig(_Config):
    """What a correction does, with every default."""

    labels: tuple[RegionLabel, ...]
    preset: Preset = "default"
    lambdas: tuple[float, ...] = _declared("CorrectionConfig.lambdas")
    learning_rate: float = _declared("CorrectionConfig.learning_rate")
    epochs: int = _declared("CorrectionConfig.epochs")
    samples_per_region: int = _declared("CorrectionConfig.samples_per_region")
    tau: float = _declared("AuditConfig.tau")
    batch_size: int = _own(64, 1, 65_536)
    audit: AuditConfig = field(default_factory=AuditConfig)
    """That of the audit that found the regions: with its seed it tells the train items to step from."""
    audit_seed: int = _own(0, 0)

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> CorrectionConfig:
        """Read a config object; only `labels` is required."""
        fields = Fields(value, where)
        preset = fields.choice("preset", "default", PRESETS)
        labels = read_labels(fields)
        base = paper_correction(labels) if preset == "paper" else cls(labels)
        audit = AuditConfig.from_json(fields.raw("audit", {}), fields.path("audit"))
        config = replace(base, audit=audit, **_read_numbers(fields, base))
        fields.finish()
        if not config.lambdas:
            raise JobInvalid(f"{where}.lambdas must hold at least one value")
        return config


def paper_correction(labels: tuple[RegionLabel, ...]) -> CorrectionConfig:
    """The published settings (arXiv 2102.06162): SGD with momentum 0.9, 15 epochs, lambda 0.01, tau 0.01."""
    return CorrectionConfig(labels, preset="paper", **_paper_defaults(CorrectionConfig))


@dataclass(frozen=True)
class EvaluationConfig:
    """What an evaluation compares; the second search repeats `audit` from other seeds."""

    labels: tuple[RegionLabel, ...]
    audit: AuditConfig
    audit_seed: int = _own(0, 0)
    samples_per_region: int = _own(200, 1, 100_000)
    tau: float = _declared("AuditConfig.tau")

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> EvaluationConfig:
        """Read a config object; only `labels` is required."""
        fields = Fields(value, where)
        audit = AuditConfig.from_json(fields.raw("audit", {}), fields.path("audit"))
        base = cls(read_labels(fields), audit)
        config = replace(base, **_read_numbers(fields, base))
        fields.finish()
        return config


@dataclass(frozen=True)
class MixedBug:
    """A bug that people called mixed: its number and its cells."""

    bug: int
    cells: tuple[int, ...]

    @classmethod
    def from_json(cls, value: object, where: str) -> MixedBug:
        """Read the object of a config."""
        fields = Fields(value, where)
        bug = fields.integer("bug", None, 0)
        cells = tuple(integer(number, at, 0, 10**9) for at, number in fields.items("cells"))
        fields.finish()
        if not cells or len(set(cells)) != len(cells):
            raise JobInvalid(f"{where}.cells must name at least one region, each once; got {list(cells)}")
        return cls(bug, cells)


@dataclass(frozen=True)
class RegionSplitConfig(_Config):
    """Which bugs or regions of an audit are split; the job's seed is the audit's."""

    regions: tuple[int, ...]
    bugs: tuple[MixedBug, ...]
    first_bug: int
    """Number of the first new bug."""
    audit: AuditConfig
    """That of the audit that found the regions: its parts are assessed and shown as its regions were."""

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> RegionSplitConfig:
        """Read a config object; `regions` or `bugs` must name something to split."""
        fields = Fields(value, where)
        config = cls(
            regions=tuple(integer(number, at, 0, 10**9) for at, number in fields.items("regions", ())),
            bugs=tuple(MixedBug.from_json(bug, at) for at, bug in fields.items("bugs", ())),
            first_bug=fields.integer("first_bug", 0, 0),
            audit=AuditConfig.from_json(fields.raw("audit", {}), fields.path("audit")),
        )
        fields.finish()
        named = [*config.regions, *(cell for bug in config.bugs for cell in bug.cells)]
        if not named:
            raise JobInvalid(f"{where} must name regions or bugs to split, got neither")
        if len(set(named)) != len(named):
            raise JobInvalid(f"{where} names a region twice: split each region once")
        return config


@dataclass(frozen=True)
class VaeTrainingConfig(_Config):
    """How a VAE is trained."""

    latent_sizes: tuple[int, ...] = _declared("VaeTrainingConfig.latent_sizes")
    """Empty: chosen by the number of values in an image."""
    budget_s: float = _declared("VaeTrainingConfig.budget_s")
    max_steps: int = _own(0, 0)
    """Steps of all settings together; they then say how the budget is shared, and the same seed gives the
    same VAE on the same machine, as long as `budget_s` is not reached. 0: the time alone says it."""

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> VaeTrainingConfig:
        """Read a config object; absent keys take their defaults."""
        fields = Fields(value, where)
        config = cls(**_read_numbers(fields, cls()))
        fields.finish()
        return config
