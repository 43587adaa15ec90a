"""What each kind of job does, with every default: the `config` objects of a job file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from defuse_engine.errors import JobInvalid
from defuse_engine.strict_json import Fields, integer, number

Preset = Literal["default", "paper"]
PRESETS: tuple[Preset, ...] = ("default", "paper")
MethodName = Literal["paper", "neighbourhood", "gradient"]
METHODS: tuple[MethodName, ...] = ("paper", "neighbourhood", "gradient")

LEAST_CODES = 10
"""Codes that a region needs at least; with fewer there is no telling a region from scattered points."""

PAPER_CONCENTRATION = 50.0
"""a = b of the Beta noise of `preset: paper` (arXiv 2102.06162, section 4)."""
PAPER_NOISE_SCALE = 0.5 / (2 * PAPER_CONCENTRATION + 1) ** 0.5
"""Standard deviation of Beta(a, a): 1 / (2 sqrt(2a + 1)), about 0.05."""


@dataclass(frozen=True)
class AuditConfig:
    """What an audit does, with every default; `paper_config()` holds those of `preset: paper`."""

    preset: Preset = "default"
    methods: tuple[MethodName, ...] = ("neighbourhood", "gradient")
    """They share the candidates of each seed."""
    max_seeds: int = 25_000
    """Train items that the search may start from, chosen at random; 0 means all."""
    candidates_per_seed: int = 12
    """Of all methods together; those around what is found come on top."""
    max_candidates: int = 0
    """The search ends after the shard that reaches them; 0 means no limit."""
    budget_s: float = 0.0
    """The search ends after the shard that reaches this time; 0 means no limit."""
    patience_shards: int = 10
    """The search ends when so many shards in a row brought no new region into sight; -1 means never."""
    kept_per_seed: int = 12
    """Of a seed's misclassifications the likeliest bugs are kept (`paper`: the smallest norms of delta)."""
    noise_scale: float = 0.15
    """Standard deviation of each coordinate of delta, over that of the train codes in that coordinate."""
    neighbours: int = 40
    """Nearest train codes that are asked for their labels; a small dataset gives fewer."""
    agreement_threshold: float = 0.7
    """Least share of them, around the candidate's input encoded again, that bear the seed's label."""
    belief_threshold: float = 0.97
    """Least probability of being a bug."""
    shard_seeds: int = 500
    """Seeds whose results come in one chunk: what a job that was stopped loses at most."""
    batch_size: int = 256
    """Images that a model runs on at once, where it takes any number."""
    max_components: int = 100
    """Of the mixture of each pair of seed label and predicted class."""
    tau: float = 0.1
    """Fresh samples of a region are drawn with tau times its covariance."""
    sheet_samples: int = 25
    """Fresh samples of a region that annotators are shown."""
    gold_sheets: int = 0
    """Sheets of validation items for each class, to test annotators with."""

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> AuditConfig:
        """Read a config object; absent keys take the defaults of its preset."""
        fields = Fields(value, where)
        preset: Preset = fields.choice("preset", "default", PRESETS)
        base = paper_config() if preset == "paper" else cls()
        config = cls(
            preset=preset,
            methods=_methods(fields, base.methods),
            max_candidates=fields.integer("max_candidates", base.max_candidates, 0),
            budget_s=fields.number("budget_s", base.budget_s, 0.0, 1e9),
            patience_shards=fields.integer("patience_shards", base.patience_shards, -1)
            or base.patience_shards,
            belief_threshold=fields.number("belief_threshold", base.belief_threshold, 0.0, 1.0),
            max_seeds=fields.integer("max_seeds", base.max_seeds, 0),
            candidates_per_seed=fields.integer("candidates_per_seed", base.candidates_per_seed, 1, 100_000),
            kept_per_seed=fields.integer("kept_per_seed", base.kept_per_seed, 1, 100_000),
            noise_scale=fields.number("noise_scale", base.noise_scale, 0.0, 1e3, above=True),
            neighbours=fields.integer("neighbours", base.neighbours, 0, 10_000),
            agreement_threshold=fields.number("agreement_threshold", base.agreement_threshold, 0.0, 1.0),
            shard_seeds=fields.integer("shard_seeds", base.shard_seeds, 1, 1_000_000),
            batch_size=fields.integer("batch_size", base.batch_size, 1, 65_536),
            max_components=fields.integer("max_components", base.max_components, 1, 10_000),
            tau=fields.number("tau", base.tau, 0.0, 100.0, above=True),
            sheet_samples=fields.integer("sheet_samples", base.sheet_samples, 1, 400),
            gold_sheets=fields.integer("gold_sheets", base.gold_sheets, 0, 100),
        )
        fields.finish()
        config._refuse_what_the_preset_fixes(where)
        return config

    def _refuse_what_the_preset_fixes(self, where: str) -> None:
        if self.preset != "paper":
            if self.neighbours < 1:
                raise JobInvalid(f"{where}.neighbours must be at least 1 (only preset paper looks at none)")
            if "paper" in self.methods:
                raise JobInvalid(f"{where}.methods: method paper is searched with preset paper alone")
            return
        fixed = paper_config()
        for name in ("methods", "noise_scale", "neighbours", "agreement_threshold", "belief_threshold"):
            if getattr(self, name) != getattr(fixed, name):
                raise JobInvalid(
                    f"{where}.{name} is fixed to {getattr(fixed, name)!r} by preset paper, got "
                    f"{getattr(self, name)!r}; leave it out, or use preset default"
                )

    def to_json(self) -> dict[str, Any]:
        """Every field, as `from_json` reads it."""
        return {**asdict(self), "methods": list(self.methods)}


def _methods(fields: Fields, default: tuple[MethodName, ...]) -> tuple[MethodName, ...]:
    methods: list[MethodName] = []
    for where, value in fields.items("methods", default):
        if value not in METHODS:
            raise JobInvalid(f"{where} must be one of {', '.join(METHODS)}, got {value!r}")
        methods.append(value)
    if not methods or len(set(methods)) != len(methods):
        raise JobInvalid(f"{fields.path('methods')} must name at least one method, each once; got {methods}")
    return tuple(methods)


def paper_config() -> AuditConfig:
    """Defaults of `preset: paper`: Beta(50, 50) noise, no look at the neighbourhood, tau 0.01."""
    return AuditConfig(
        preset="paper",
        methods=("paper",),
        candidates_per_seed=100,
        kept_per_seed=5,
        noise_scale=PAPER_NOISE_SCALE,
        neighbours=0,
        agreement_threshold=0.0,
        belief_threshold=0.0,
        patience_shards=-1,
        tau=0.01,
    )


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
class CorrectionConfig:
    """What a correction does, with every default."""

    labels: tuple[RegionLabel, ...]
    preset: Preset = "default"
    lambdas: tuple[float, ...] = (0.1, 0.3, 1.0)
    learning_rate: float = 0.01
    """Relative: a step moves a weight tensor by up to this share of its root mean square (`paper`: SGD's)."""
    epochs: int = 1
    samples_per_region: int = 200
    tau: float = 0.1
    batch_size: int = 64
    audit: AuditConfig = field(default_factory=AuditConfig)
    """That of the audit that found the regions: with its seed it tells the train items to step from."""
    audit_seed: int = 0

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> CorrectionConfig:
        """Read a config object; only `labels` is required."""
        fields = Fields(value, where)
        preset: Preset = fields.choice("preset", "default", PRESETS)
        labels = read_labels(fields)
        base = paper_correction(labels) if preset == "paper" else cls(labels)
        config = cls(
            labels=labels,
            preset=preset,
            lambdas=tuple(
                number(v, at, 0.0, 1e6, above=True) for at, v in fields.items("lambdas", base.lambdas)
            ),
            learning_rate=fields.number("learning_rate", base.learning_rate, 0.0, 100.0, above=True),
            epochs=fields.integer("epochs", base.epochs, 1, 10_000),
            samples_per_region=fields.integer("samples_per_region", base.samples_per_region, 1, 100_000),
            tau=fields.number("tau", base.tau, 0.0, 100.0, above=True),
            batch_size=fields.integer("batch_size", base.batch_size, 1, 65_536),
            audit=AuditConfig.from_json(fields.raw("audit", {}), fields.path("audit")),
            audit_seed=fields.integer("audit_seed", base.audit_seed, 0),
        )
        fields.finish()
        if not config.lambdas:
            raise JobInvalid(f"{where}.lambdas must hold at least one value")
        return config

    def to_json(self) -> dict[str, Any]:
        """Every field, as `from_json` reads it."""
        return {
            **asdict(self),
            "lambdas": list(self.lambdas),
            "labels": [asdict(x) for x in self.labels],
            "audit": self.audit.to_json(),
        }


def paper_correction(labels: tuple[RegionLabel, ...]) -> CorrectionConfig:
    """The published settings (arXiv 2102.06162): SGD with momentum 0.9, 15 epochs, lambda 0.01, tau 0.01."""
    return CorrectionConfig(
        labels, preset="paper", lambdas=(0.01,), learning_rate=1e-3, epochs=15, tau=0.01, batch_size=64
    )


@dataclass(frozen=True)
class EvaluationConfig:
    """What an evaluation compares; the second search repeats `audit` from other seeds."""

    labels: tuple[RegionLabel, ...]
    audit: AuditConfig
    audit_seed: int = 0
    samples_per_region: int = 200
    tau: float = 0.1

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> EvaluationConfig:
        """Read a config object; only `labels` is required."""
        fields = Fields(value, where)
        config = cls(
            labels=read_labels(fields),
            audit=AuditConfig.from_json(fields.raw("audit", {}), fields.path("audit")),
            audit_seed=fields.integer("audit_seed", cls.audit_seed, 0),
            samples_per_region=fields.integer("samples_per_region", cls.samples_per_region, 1, 100_000),
            tau=fields.number("tau", cls.tau, 0.0, 100.0, above=True),
        )
        fields.finish()
        return config


@dataclass(frozen=True)
class RegionSplitConfig:
    """Which regions of an audit are split; the job's seed is the audit's."""

    regions: tuple[int, ...]
    audit: AuditConfig
    """That of the audit that found the regions: its parts are assessed and shown as its regions were."""

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> RegionSplitConfig:
        """Read a config object; only `regions` is required."""
        fields = Fields(value, where)
        config = cls(
            regions=tuple(integer(number, at, 0, 10**9) for at, number in fields.items("regions")),
            audit=AuditConfig.from_json(fields.raw("audit", {}), fields.path("audit")),
        )
        fields.finish()
        if len(set(config.regions)) != len(config.regions):
            raise JobInvalid(f"{where}.regions names a region twice: split each region once")
        return config

    def to_json(self) -> dict[str, Any]:
        """Every field, as `from_json` reads it."""
        return {"regions": list(self.regions), "audit": self.audit.to_json()}


@dataclass(frozen=True)
class VaeTrainingConfig:
    """How a VAE is trained, with every default."""

    latent_sizes: tuple[int, ...] = ()
    """Latent sizes to choose from; empty: chosen by the number of values in an image."""
    budget_s: float = 480.0
    """Seconds that training and choosing may take."""
    max_steps: int = 0
    """Steps of all settings together; they then say how the budget is shared, and the same seed gives the
    same VAE on the same machine, as long as `budget_s` is not reached. 0: the time alone says it."""

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> VaeTrainingConfig:
        """Read a config object; absent keys take their defaults."""
        fields = Fields(value, where)
        config = cls(
            latent_sizes=tuple(
                integer(v, at, 1, 4096) for at, v in fields.items("latent_sizes", cls.latent_sizes)
            ),
            budget_s=fields.number("budget_s", cls.budget_s, 10.0, 86_400.0),
            max_steps=fields.integer("max_steps", cls.max_steps, 0),
        )
        fields.finish()
        return config

    def to_json(self) -> dict[str, Any]:
        """Every field, as `from_json` reads it."""
        return {**asdict(self), "latent_sizes": list(self.latent_sizes)}
