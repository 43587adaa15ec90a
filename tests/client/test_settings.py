"""Each setting of a job is declared once, in the contract, and the client has them all."""

from typing import get_type_hints

import pytest
from defuse._operations.audits import AuditSettings, LabelingSettings
from defuse._operations.corrections import CorrectionSettings
from defuse._operations.vae_trainings import VaeTrainingSettings
from defuse.messages import AuditConfig, CorrectionConfig, EvaluationConfig, LabelingConfig, VaeTrainingConfig
from defuse.settings import default_text, field_of, is_allowed, range_text, setting_of

CONFIGS = (AuditConfig, LabelingConfig, CorrectionConfig, EvaluationConfig, VaeTrainingConfig)
FIELDS = {
    f"{config.DESCRIPTOR.name}.{field.name}": field
    for config in CONFIGS
    for field in config.DESCRIPTOR.fields
    if not field.message_type
}
NUMBERS = {
    name: field for name, field in FIELDS.items() if not field.enum_type and field.type != field.TYPE_STRING
}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_every_setting_says_what_it_does_and_what_its_default_is(field):
    assert setting_of(field).help.endswith(".")
    assert default_text(field)


@pytest.mark.parametrize("field", NUMBERS.values(), ids=NUMBERS)
def test_every_number_has_a_range_and_its_defaults_are_in_it(field):
    setting = setting_of(field)
    assert range_text(setting)
    assert all(is_allowed(setting, value) for value in setting.default)
    assert setting.fixed_by_paper or all(is_allowed(setting, value) for value in setting.paper_default)


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        (AuditSettings, AuditConfig),
        (LabelingSettings, LabelingConfig),
        (CorrectionSettings, CorrectionConfig),
        (VaeTrainingSettings, VaeTrainingConfig),
    ],
)
def test_the_client_takes_every_setting(settings, config):
    assert get_type_hints(settings).keys() == {field.name for field in config.DESCRIPTOR.fields}


@pytest.mark.parametrize(
    ("config", "name", "values", "default"),
    [
        (AuditConfig, "candidates_per_seed", "1 to 10,000", "12 (preset paper: 100)"),
        (AuditConfig, "tau", "above 0, at most 1", "0.1 (preset paper: 0.01)"),
        (AuditConfig, "neighbours", "1 to 1,000", "40 (preset paper: always 0)"),
        (AuditConfig, "patience_shards", "at least 1, or -1 for never", "10 (preset paper: never)"),
        (AuditConfig, "methods", "", "neighbourhood, gradient (preset paper: always paper)"),
        (AuditConfig, "budget_s", "above 0 s", "no limit"),
        (CorrectionConfig, "lambdas", "up to 20 values, each above 0, at most 1,000,000", "0.1, 0.3, 1 (preset paper: 0.01)"),  # noqa: E501
        (VaeTrainingConfig, "budget_s", "10 to 86,400 s", "480 s"),
    ],
)  # fmt: skip
def test_ranges_and_defaults_are_written_for_people(config, name, values, default):
    field = field_of(config, name)
    assert (range_text(setting_of(field)), default_text(field)) == (values, default)
