"""The settings of jobs, as the contract declares them (proto/defuse/v1/setting.proto)."""

import math
from typing import Any, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from defuse.v1 import setting_pb2
from defuse.v1.setting_pb2 import Setting


def field_of(config: type[Message], name: str) -> FieldDescriptor:
    """Return a field of a config by its name."""
    return cast(FieldDescriptor, config.DESCRIPTOR.fields_by_name[name])


def setting_of(field: FieldDescriptor) -> Setting:
    """Return what a field of a config is declared to be; an empty Setting if it is a config itself."""
    return field.GetOptions().Extensions[cast(Any, setting_pb2.setting)]


def enum_names(enum: EnumDescriptor) -> dict[int, str]:
    """Return the short names of an enum's values, such as `gradient`, without the unspecified one."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix).lower() for value in enum.values if value.number}


def is_whole(field: FieldDescriptor) -> bool:
    """Whether the setting is a whole number, or a list of them."""
    return field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)


def default_of(field: FieldDescriptor) -> Any:
    """Return the default of a number, as an int if it is whole; None if it has none, such as no limit."""
    default = setting_of(field).default
    if not default:
        return None
    return int(default[0]) if is_whole(field) else default[0]


def is_allowed(setting: Setting, value: float) -> bool:
    """Whether a number is in the range of a setting."""
    if setting.or_never and value == -1:
        return True
    high_enough = value > setting.above if setting.HasField("above") else value >= setting.least
    return high_enough and math.isfinite(value) and (value <= setting.most or not setting.HasField("most"))


def range_text(setting: Setting) -> str:
    """Say the range of a number: `1 to 10,000`, `above 0, at most 1`; empty if it is no number."""
    low = setting.WhichOneof("lower_end")
    if not low:
        return ""
    values = f"up to {setting.most_values} values, each " if setting.most_values else ""
    least = number_text(setting.above if low == "above" else setting.least)
    most = number_text(setting.most) if setting.HasField("most") else ""
    if low == "least" and most:
        text = f"{least} to {most}"
    else:
        text = f"{'above' if low == 'above' else 'at least'} {least}" + (f", at most {most}" if most else "")
    return f"{values}{text} {setting.unit}".rstrip() + (", or -1 for never" if setting.or_never else "")


def default_text(field: FieldDescriptor) -> str:
    """Say the default, and the preset paper's if it differs: `12 (preset paper: 100)`, `no limit`."""
    setting = setting_of(field)
    text = setting.default_text or _values_text(field, setting.default)
    if not setting.paper_default:
        return text
    always = "always " if setting.fixed_by_paper else ""
    return f"{text} (preset paper: {always}{_values_text(field, setting.paper_default)})"


def number_text(value: float) -> str:
    """Write a number for people: `25,000`, `0.15`."""
    return f"{int(value):,}" if value == int(value) else f"{value:.4g}"


def _values_text(field: FieldDescriptor, values: Any) -> str:
    setting = setting_of(field)
    names = enum_names(field.enum_type) if field.enum_type else {-1: "never"} if setting.or_never else {}
    texts = [names.get(int(value)) or number_text(value) for value in values]
    return f"{', '.join(texts)} {setting.unit}".rstrip()
