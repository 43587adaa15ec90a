"""The command line makes its options of the contract's settings."""

import pytest
from defuse.messages import AuditConfig, CorrectionConfig, EvaluationConfig, VaeTrainingConfig
from defuse.settings import default_text, range_text, setting_of


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("audit start", AuditConfig),
        ("correct", CorrectionConfig),
        ("vae train", VaeTrainingConfig),
        ("gate", EvaluationConfig),
    ],
)
def test_help_says_of_every_setting_what_it_does_its_values_and_its_default(
    name, config, command, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "1000")
    shown = command(*name.split(), "--help").out
    for field in config.DESCRIPTOR.fields:
        if not field.message_type:
            assert setting_of(field).help in shown
            assert range_text(setting_of(field)).capitalize() in shown
            assert f"Default: {default_text(field)}." in shown
