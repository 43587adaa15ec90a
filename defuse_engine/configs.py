"""What each kind of job does, with every default: the `config` objects of a job file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from defuse_engine.errors import JobInvalid
from defuse_engine.strict_json import Fields, number

Preset = Literal["default", "paper"]
PRESETS: tuple[Preset, ...] = ("default", "paper")

PAPER_CONCENTRATION = 50.0
"""a = b of the Beta noise of `preset: paper` (arXiv 2102.06162, section 4)."""
PAPER_NOISE_SCALE = 0.5 / (2 * PAPER_CONCENTRATION + 1) ** 0.5
"""Standard deviation of Beta(a, a): 1 / (2 sqrt(2a + 1)), about 0.05."""


@dataclass(frozen=True)
class AuditConfig:
    """What an audit does, with every default; `paper_config()` holds those of `preset: paper`."""

    preset: Preset = "default"
    max_seeds: int = 15_000
    """Train items that the search may start from, chosen at random; 0 means all."""
    candidates_per_seed: int = 20
    kept_per_seed: int = 5
    """Of a seed's misclassifications those with the smallest norm of delta are kept."""
    noise_scale: float = 0.15
    """Standard deviation of each coordinate of delta."""
    neighbours: int = 15
    agreement_threshold: float = 0.8
    """Least share of the nearest train codes that bear the seed's label."""
    shard_seeds: int = 500
    batch_size: int = 256
    max_components: int = 100
    tau: float = 0.1
    sheet_samples: int = 25

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> AuditConfig:
        """Read a config object; absent keys take the defaults of its preset."""
        fields = Fields(value, where)
        preset: Preset = fields.choice("preset", "default", PRESETS)
        base = paper_config() if preset == "paper" else cls()
        config = cls(
            preset=preset,
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
        )
        fields.finish()
        config._refuse_what_the_preset_fixes(where)
        return config

    def _refuse_what_the_preset_fixes(self, where: str) -> None:
        if self.preset != "paper":
            if self.neighbours < 1:
                raise JobInvalid(f"{where}.neighbours must be at least 1 (only preset paper looks at none)")
            return
        fixed = paper_config()
        for name in ("noise_scale", "neighbours", "agreement_threshold"):
            if getattr(self, name) != getattr(fixed, name):
                raise JobInvalid(
                    f"{where}.{name} is fixed to {getattr(fixed, name)!r} by preset paper, got "
                    f"{getattr(self, name)!r}; leave it out, or use preset default"
                )

    def to_json(self) -> dict[str, Any]:
        """Every field, as `from_json` reads it."""
        return asdict(self)


def paper_config() -> AuditConfig:
    """Defaults of `preset: paper`: Beta(50, 50) noise, no look at the neighbourhood, tau 0.01."""
    return AuditConfig(
        preset="paper",
        candidates_per_seed=100,
        kept_per_seed=5,
        noise_scale=PAPER_NOISE_SCALE,
        neighbours=0,
        agreement_threshold=0.0,
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
    lambdas: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0)
    learning_rate: float = 0.01
    """Relative: a step moves a weight tensor by up to this share of its root mean square."""
    epochs: int = 1
    samples_per_region: int = 200
    tau: float = 0.1
    batch_size: int = 64

    @classmethod
    def from_json(cls, value: object, where: str = "config") -> CorrectionConfig:
        """Read a config object; only `labels` is required."""
        fields = Fields(value, where)
        config = cls(
            labels=read_labels(fields),
            lambdas=tuple(number(v, at, 0.0, 1e6) for at, v in fields.items("lambdas", cls.lambdas)),
            learning_rate=fields.number("learning_rate", cls.learning_rate, 0.0, 100.0, above=True),
            epochs=fields.integer("epochs", cls.epochs, 1, 10_000),
            samples_per_region=fields.integer("samples_per_region", cls.samples_per_region, 1, 100_000),
            tau=fields.number("tau", cls.tau, 0.0, 100.0, above=True),
            batch_size=fields.integer("batch_size", cls.batch_size, 1, 65_536),
        )
        fields.finish()
        if not config.lambdas:
            raise JobInvalid(f"{where}.lambdas must hold at least one value")
        return config

    def to_json(self) -> dict[str, Any]:
        """Every field, as `from_json` reads it."""
        return {**asdict(self), "lambdas": list(self.lambdas), "labels": [asdict(x) for x in self.labels]}


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
