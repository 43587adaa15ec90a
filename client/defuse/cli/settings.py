"""Options for the settings of a job, made of what the contract declares."""

import functools
import inspect
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from inspect import Parameter
from typing import Annotated, Any, cast

import typer
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from defuse.settings import default_text, enum_names, is_whole, range_text, setting_of

Command = Callable[..., Any]


def takes_settings(config: type[Message]) -> Callable[[Command], Command]:
    """Give a command an option for each setting of `config`; it gets their values as `**settings`."""

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        options = list(_options(config.DESCRIPTOR))

        @functools.wraps(command)
        def run(**values: Any) -> Any:
            settings: dict[str, Any] = {}
            for part, option in options:
                value = _plain(values.pop(option.name))
                (settings.setdefault(part, {}) if part else settings)[option.name] = value
            return command(**values, **settings)

        parameters = [*own, *(option for _, option in options)]
        cast(Any, run).__signature__ = signature.replace(parameters=parameters)
        return run

    return decorate


def _options(config: Any, part: str = "") -> Iterator[tuple[str, Parameter]]:
    """Each setting as a parameter of a command, with the name of the config that it is in."""
    for field in config.fields:
        if field.message_type:
            yield from _options(field.message_type, field.name)
        else:
            yield part, _option(field)


def _option(field: FieldDescriptor) -> Parameter:
    setting = setting_of(field)
    kind: Any = int if is_whole(field) else float
    default: Any = kind()
    if field.enum_type:
        choices = enum_names(field.enum_type)
        kind = StrEnum(field.enum_type.name, {name: name.replace("_", "-") for name in choices.values()})
        default = kind[choices[int(setting.default[0])]]
    elif field.type == FieldDescriptor.TYPE_STRING:
        kind, default = str, ""
    if setting.most_values:
        kind, default = list[kind] | None, None
    option = typer.Option(
        _option_name(field),
        help=_help(field),
        case_sensitive=False,
        show_default=False,
        rich_help_panel="Settings",
    )
    annotation = cast(Any, Annotated)[kind, option]
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option_name(field: FieldDescriptor) -> str:
    if field.full_name == "defuse.v1.LabelingConfig.method":
        return "--consensus"
    # An option that may be repeated has the singular.
    name = field.name.removesuffix("s") if setting_of(field).most_values else field.name
    return f"--{name.replace('_', '-')}"


def _help(field: FieldDescriptor) -> str:
    setting = setting_of(field)
    values = range_text(setting).capitalize()
    sentences = [setting.help, values and f"{values}.", f"Default: {default_text(field)}."]
    if setting.most_values:
        sentences.append("Repeat the option for several values.")
    return " ".join(filter(None, sentences))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[Any]", value)]
    return value.value.replace("-", "_") if isinstance(value, Enum) else [] if value is None else value
