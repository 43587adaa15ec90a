"""Configs of the contract as job.json has them: by the same names, enums by their short ones."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from defuse.settings import enum_names
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_NOT_OF_THE_ENGINE: Final = ("seed", "device", "annotators_per_region", "labeling")
"""What job.json says outside of `config`, and what only the service reads."""


def config_json(config: Message) -> dict[str, Any]:
    """What a config sets, as job.json has it; the rest is left to the engine's defaults."""
    json: dict[str, Any] = {"preset": "default"} if "preset" in config.DESCRIPTOR.fields_by_name else {}
    for field, value in config.ListFields():
        if field.name not in _NOT_OF_THE_ENGINE:
            json[field.name] = _each(value, _short_names(field).get)
    return json


def fill_in(config: Any, used: Mapping[str, Any], device: str) -> None:
    """Set every field to the value that the engine used, and an unset device to `device`."""
    config.device = config.device or device
    for field in config.DESCRIPTOR.fields:
        if field.name not in _NOT_OF_THE_ENGINE:
            numbers = {name: number for number, name in _short_names(field).items()}
            config.ClearField(field.name)
            config.MergeFrom(type(config)(**{field.name: _each(used[field.name], numbers.get)}))


def _short_names(field: FieldDescriptor) -> dict[int, str]:
    return enum_names(field.enum_type) if field.enum_type else {}


def _each(value: Any, translated: Callable[[Any, Any], Any]) -> Any:
    """A value, or each of a list, translated where there is a translation."""
    if isinstance(value, int | float | str):
        return translated(value, value)
    return [translated(each, each) for each in value]
