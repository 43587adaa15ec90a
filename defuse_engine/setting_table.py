"""The settings that the contract declares. Written by `make proto` from proto/."""

from __future__ import annotations

from typing import Final

from defuse_engine.setting import Setting

SETTINGS: Final = {
    "AuditConfig.max_seeds": Setting(25000, least=1),
    "AuditConfig.candidates_per_seed": Setting(12, least=1, most=10_000, paper=100),
    "AuditConfig.kept_per_seed": Setting(12, least=1, most=1_000, paper=5),
    "AuditConfig.noise_scale": Setting(0.15, least=0.0, most=10.0, above=True, paper=0.04975185951049946, fixed=True),
    "AuditConfig.neighbours": Setting(40, least=1, most=1_000, paper=0, fixed=True),
    "AuditConfig.agreement_threshold": Setting(0.7, least=0.0, most=1.0, above=True, paper=0.0, fixed=True),
    "AuditConfig.tau": Setting(0.1, least=0.0, most=1.0, above=True, paper=0.01),
    "AuditConfig.methods": Setting(("neighbourhood", "gradient"), most_values=3, paper=("paper",), fixed=True),
    "AuditConfig.max_candidates": Setting(0, least=1),
    "AuditConfig.budget_s": Setting(0.0, least=0.0, above=True),
    "AuditConfig.patience_shards": Setting(10, least=-1, paper=-1),
    "AuditConfig.belief_threshold": Setting(0.97, least=0.0, most=1.0, above=True, paper=0.0, fixed=True),
    "CorrectionConfig.lambdas": Setting((0.1, 0.3, 1.0), least=0.0, most=1_000_000.0, above=True, most_values=20, paper=(0.01,)),
    "CorrectionConfig.learning_rate": Setting(0.01, least=0.0, most=100.0, above=True, paper=0.001),
    "CorrectionConfig.epochs": Setting(1, least=1, most=1_000, paper=15),
    "CorrectionConfig.samples_per_region": Setting(200, least=1, most=10_000),
    "VaeTrainingConfig.latent_sizes": Setting((), least=1, most=4_096, most_values=8),
    "VaeTrainingConfig.budget_s": Setting(480.0, least=10.0, most=86_400.0),
}
