"""Whether the configs of jobs and of models hold what the contract allows."""

import math
from collections.abc import Sequence
from typing import Any, cast

from defuse.settings import is_allowed, range_text, setting_of
from defuse.v1.audit_service_pb2 import AuditConfig, Preset, SearchMethod
from defuse.v1.models_pb2 import Layout, Preprocessing
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from defuse_server import validation
from defuse_server.labels.labeling_rule import ANNOTATORS
from defuse_server.validation import Violations


def job_config(found: Violations, config: Message, path: str = "config") -> None:
    """Note each field of a job's config that its Setting (proto/defuse/v1/setting.proto) does not allow."""
    paper = isinstance(config, AuditConfig) and config.preset == Preset.PRESET_PAPER
    for field in cast("Sequence[FieldDescriptor]", config.DESCRIPTOR.fields):
        at, value = f"{path}.{field.name}", getattr(config, field.name)
        if field.message_type:
            job_config(found, value, at)
        elif field.name == "device":
            validation.device(found, at, value)
        else:
            # A number that is 0 is left to its default.
            values = value if setting_of(field).most_values else [value] if value else []
            fault = _fault(field, values, paper)
            found.require(fault is None, at, fault or "")


def audit_config(found: Violations, config: AuditConfig) -> None:
    """Note what `job_config` notes, and what does not go together in an audit."""
    job_config(found, config)
    found.require(
        config.preset == Preset.PRESET_PAPER or SearchMethod.SEARCH_METHOD_PAPER not in config.methods,
        "config.methods",
        "SEARCH_METHOD_PAPER takes PRESET_PAPER",
    )
    wanted = config.annotators_per_region or ANNOTATORS
    limit = config.labeling.max_annotators_per_region
    found.require(
        not 0 < limit < wanted,
        "config.labeling.max_annotators_per_region",
        f"expected at least annotators_per_region, which is {wanted}, got {limit}",
    )


def _fault(field: FieldDescriptor, values: Sequence[Any], paper: bool) -> str | None:
    setting = setting_of(field)
    if paper and setting.fixed_by_paper and values and list(values) != list(setting.paper_default):
        return "PRESET_PAPER fixes it: leave it out"
    if field.enum_type:
        return _enum_fault(field.enum_type, values)
    if len(values) > max(1, setting.most_values):
        return f"expected at most {setting.most_values} values, got {len(values)}"
    wrong = [value for value in values if not is_allowed(setting, value)]
    if not wrong:
        return None
    takes_zero = setting.most_values or is_allowed(setting, 0)
    zero = "" if takes_zero else f" (0 for {setting.default_text or 'the default'})"
    return f"expected {range_text(setting)}{zero}, got {wrong[0]}"


def _enum_fault(enum: EnumDescriptor, values: Sequence[int]) -> str | None:
    known = enum.values_by_number
    wrong = [value for value in values if not value or value not in known]
    if wrong:
        names = ", ".join(value.name for number, value in known.items() if number)
        return f"expected one of {names}, got {wrong[0]}"
    if len(set(values)) < len(values):
        return f"expected each once, got {', '.join(known[value].name for value in values)}"
    return None


def preprocessing(found: Violations, value: Preprocessing) -> None:
    """Note what is wrong with the preprocessing of a model."""
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
