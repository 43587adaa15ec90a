"""The ranges of what jobs and models are configured with, as the contract's comments state them."""

import math
from typing import Final

from defuse.v1.audit_service_pb2 import (
    AuditConfig,
    ConsensusMethod,
    LabelingConfig,
    Preset,
    SearchMethod,
)
from defuse.v1.correction_service_pb2 import CorrectionConfig, CorrectionPreset
from defuse.v1.models_pb2 import Layout, OutputKind, Preprocessing
from defuse.v1.promotion_service_pb2 import EvaluationConfig
from defuse.v1.registry_service_pb2 import VaeTrainingConfig

from defuse_server import validation
from defuse_server.labels.labeling_rule import ANNOTATORS, LIMIT_MAX
from defuse_server.validation import Violations

LAMBDAS_MAX: Final = 20
LATENT_SIZES_MAX: Final = 8
LATENT_SIZE_RANGE: Final = (1, 4096)
BUDGET_RANGE_S: Final = (10.0, 86_400.0)
_DEFAULT_PRESET_ONLY = ("noise_scale", "neighbours", "agreement_threshold", "belief_threshold")


def audit_config(found: Violations, config: AuditConfig) -> None:
    """Of CreateAudit."""
    _run(found, config)
    validation.member(found, "config.preset", config.preset, Preset)
    found.require(config.max_seeds >= 0, "config.max_seeds", f"expected at least 0, got {config.max_seeds}")
    for field, high in (
        ("candidates_per_seed", 10_000),
        ("kept_per_seed", 1000),
        ("neighbours", 1000),
        ("annotators_per_region", 15),
    ):
        validation.between(found, f"config.{field}", getattr(config, field), 1, high)
    validation.share(found, "config.noise_scale", config.noise_scale, high=10.0)
    validation.share(found, "config.agreement_threshold", config.agreement_threshold)
    validation.share(found, "config.tau", config.tau)
    validation.share(found, "config.belief_threshold", config.belief_threshold)
    _budget(found, config)
    _methods(found, config)
    _labeling(found, config.labeling, config.annotators_per_region or ANNOTATORS)
    if config.preset == Preset.PRESET_PAPER:
        for field in _DEFAULT_PRESET_ONLY:
            found.require(not getattr(config, field), f"config.{field}", "PRESET_PAPER does not have it")


def _labeling(found: Violations, labeling: LabelingConfig, wanted: int) -> None:
    validation.member(found, "config.labeling.method", labeling.method, ConsensusMethod)
    validation.between(
        found,
        "config.labeling.max_annotators_per_region",
        labeling.max_annotators_per_region,
        wanted,
        LIMIT_MAX,
    )
    found.require(
        0 <= labeling.gold_rate <= 0.5,
        "config.labeling.gold_rate",
        f"expected 0 to 0.5 (0 for no gold tasks), got {labeling.gold_rate}",
    )


def _budget(found: Violations, config: AuditConfig) -> None:
    found.require(
        config.max_candidates >= 0,
        "config.max_candidates",
        f"expected at least 1 (0 for no limit), got {config.max_candidates}",
    )
    found.require(
        config.budget_s >= 0 and math.isfinite(config.budget_s),
        "config.budget_s",
        f"expected a finite number of seconds above 0 (0 for no limit), got {config.budget_s}",
    )
    found.require(
        config.patience_shards >= -1,
        "config.patience_shards",
        f"expected at least 1 (0 for the default, -1 for never), got {config.patience_shards}",
    )


def _methods(found: Violations, config: AuditConfig) -> None:
    for method in config.methods:
        validation.member(found, "config.methods", method, SearchMethod)
    named = [SearchMethod.Name(method) for method in config.methods if method in SearchMethod.values()]
    found.require(
        SearchMethod.SEARCH_METHOD_UNSPECIFIED not in config.methods,
        "config.methods",
        "SEARCH_METHOD_UNSPECIFIED is no method; leave the list empty for the preset's",
    )
    found.require(
        len(set(named)) == len(named), "config.methods", f"expected each once, got {', '.join(named)}"
    )
    of_paper = SearchMethod.SEARCH_METHOD_PAPER in config.methods
    if config.preset == Preset.PRESET_PAPER:
        others = set(config.methods) - {SearchMethod.SEARCH_METHOD_PAPER}
        found.require(
            not others,
            "config.methods",
            f"PRESET_PAPER has SEARCH_METHOD_PAPER alone, got {', '.join(named)}",
        )
    else:
        found.require(not of_paper, "config.methods", "SEARCH_METHOD_PAPER takes PRESET_PAPER")


def correction_config(found: Violations, config: CorrectionConfig) -> None:
    """Of CreateCorrection."""
    _run(found, config)
    validation.member(found, "config.preset", config.preset, CorrectionPreset)
    found.require(
        len(config.lambdas) <= LAMBDAS_MAX,
        "config.lambdas",
        f"expected at most {LAMBDAS_MAX}, got {len(config.lambdas)}",
    )
    found.require(
        all(value > 0 and math.isfinite(value) for value in config.lambdas),
        "config.lambdas",
        "expected finite numbers above 0",
    )
    found.require(
        config.learning_rate >= 0 and math.isfinite(config.learning_rate),
        "config.learning_rate",
        f"expected a finite number above 0 (0 for the default), got {config.learning_rate}",
    )
    validation.between(found, "config.epochs", config.epochs, 1, 1000)
    validation.between(found, "config.samples_per_region", config.samples_per_region, 1, 10_000)


def evaluation_config(found: Violations, config: EvaluationConfig) -> None:
    """Of CreateEvaluation."""
    _run(found, config)


def vae_training_config(found: Violations, config: VaeTrainingConfig) -> None:
    """Of TrainVae."""
    _run(found, config)
    found.require(
        len(config.latent_sizes) <= LATENT_SIZES_MAX,
        "config.latent_sizes",
        f"expected at most {LATENT_SIZES_MAX}, got {len(config.latent_sizes)}",
    )
    low, high = LATENT_SIZE_RANGE
    found.require(
        all(low <= size <= high for size in config.latent_sizes),
        "config.latent_sizes",
        f"expected numbers in {low}..{high}",
    )
    shortest_s, longest_s = BUDGET_RANGE_S
    found.require(
        config.budget_s == 0 or shortest_s <= config.budget_s <= longest_s,
        "config.budget_s",
        f"expected {shortest_s:g} to {longest_s:g} seconds (0 for the default), got {config.budget_s}",
    )


def preprocessing(found: Violations, value: Preprocessing) -> None:
    """Of RegisterClassifier and RegisterVae."""
    validation.member(found, "preprocessing.layout", value.layout, Layout)
    found.require(
        value.scale >= 0 and math.isfinite(value.scale),
        "preprocessing.scale",
        f"expected a finite number above 0 (0 counts as 1), got {value.scale:g}",
    )
    validation.finite(found, "preprocessing.mean", value.mean)
    found.require(
        all(std > 0 and math.isfinite(std) for std in value.std),
        "preprocessing.std",
        "expected finite numbers above 0",
    )
    lengths = {len(value.mean), len(value.std)} - {0, 1}
    found.require(
        len(lengths) <= 1,
        "preprocessing.std",
        f"expected one value, or one a channel, got {len(value.mean)} of mean and {len(value.std)} of std",
    )


def output_kind(found: Violations, value: int) -> None:
    """Of RegisterClassifier."""
    validation.member(found, "output_kind", value, OutputKind)


def _run(
    found: Violations, config: AuditConfig | CorrectionConfig | EvaluationConfig | VaeTrainingConfig
) -> None:
    found.require(config.seed >= 0, "config.seed", f"expected at least 0, got {config.seed}")
    validation.device(found, "config.device", config.device)
