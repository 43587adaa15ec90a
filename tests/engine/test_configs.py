"""The engine's settings are the contract's, and its own are declared beside them."""

import dataclasses

import pytest

from defuse_engine import configs
from defuse_engine.configs import (
    PAPER_CONCENTRATION,
    AuditConfig,
    CorrectionConfig,
    VaeTrainingConfig,
    paper_config,
)
from defuse_engine.errors import JobInvalid
from defuse_engine.setting_table import SETTINGS

OWN = {
    "shard_seeds",
    "batch_size",
    "max_components",
    "sheet_samples",
    "gold_sheets",
    "audit_seed",
    "max_steps",
}
"""Settings of no other part of Defuse."""


def settings(config) -> dict:
    fields = dataclasses.fields(config)
    return {field.name: field.metadata["setting"] for field in fields if "setting" in field.metadata}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_the_contract_is_one_of_the_engine(name):
    config, _, key = name.partition(".")
    taken = settings(getattr(configs, config))[key]
    assert (taken.default, taken.most, taken.paper) == (
        SETTINGS[name].default,
        SETTINGS[name].most,
        SETTINGS[name].paper,
    )


@pytest.mark.parametrize("config", [AuditConfig, CorrectionConfig, VaeTrainingConfig])
def test_what_the_contract_does_not_declare_is_the_engines_own(config):
    declared = {name.partition(".")[2] for name in SETTINGS}
    assert settings(config).keys() - declared <= OWN


def test_the_noise_of_preset_paper_is_that_of_its_beta_distribution():
    assert paper_config().noise_scale == 0.5 / (2 * PAPER_CONCENTRATION + 1) ** 0.5


def test_values_that_mean_something_else_in_a_job_file():
    everything = {
        "max_seeds": 0,
        "max_candidates": 0,
        "budget_s": 0,
        "agreement_threshold": 0,
        "belief_threshold": 0,
    }
    config = AuditConfig.from_json(everything)
    assert {name: getattr(config, name) for name in everything} == everything
    assert AuditConfig.from_json({"patience_shards": 0}).patience_shards == AuditConfig().patience_shards
    assert AuditConfig.from_json({"patience_shards": -1}).patience_shards == -1


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"candidates_per_seed": 10_001}, "candidates_per_seed must be a whole number from 1 to 10000"),
        ({"noise_scale": 0.0}, r"noise_scale must be in \(0, 10\]"),
        ({"tau": float("nan")}, "tau must be a finite number"),
        ({"preset": "paper", "neighbours": 3}, "neighbours is fixed to 0 by preset paper"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(config, text):
    with pytest.raises(JobInvalid, match=text):
        AuditConfig.from_json(config)


def test_a_list_has_as_many_values_as_the_contract_allows():
    assert VaeTrainingConfig.from_json({"latent_sizes": [8] * 8}).latent_sizes == (8,) * 8
    with pytest.raises(JobInvalid, match="at most 8, got 9"):
        VaeTrainingConfig.from_json({"latent_sizes": [8] * 9})
