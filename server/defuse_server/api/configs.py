"""The ranges of what jobs and models are configured with, as the contract's comments state them."""

import math
from typing import Final

from defuse.v1.audit_service_pb2 import AuditConfig, Preset
from defuse.v1.correction_service_pb2 import CorrectionConfig
from defuse.v1.models_pb2 import Layout, OutputKind, Preprocessing
from defuse.v1.promotion_service_pb2 import EvaluationConfig

from defuse_server.api import validation
from defuse_server.api.validation import Violations

LAMBDAS_MAX: Final = 20
_DEFAULT_PRESET_ONLY = ("noise_scale", "neighbours", "agreement_threshold")


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
    if config.preset == Preset.PRESET_PAPER:
        for field in _DEFAULT_PRESET_ONLY:
            found.require(not getattr(config, field), f"config.{field}", "PRESET_PAPER does not have it")


def correction_config(found: Violations, config: CorrectionConfig) -> None:
    """Of CreateCorrection."""
    _run(found, config)
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


def _run(found: Violations, config: AuditConfig | CorrectionConfig | EvaluationConfig) -> None:
    found.require(config.seed >= 0, "config.seed", f"expected at least 0, got {config.seed}")
    validation.device(found, "config.device", config.device)
