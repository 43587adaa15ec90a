"""JSON objects of a known form, read strictly: no value is coerced, no unknown key is ignored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TypeVar, cast

from defuse_engine.errors import JobInvalid

Choice = TypeVar("Choice", bound=str)


class Fields:
    """The JSON object at the path `where`; `with Fields(...)` ends by refusing keys that nothing read."""

    def __init__(self, value: object, where: str):
        if not isinstance(value, Mapping):
            raise JobInvalid(f"{where} must be an object, got {_shown(value)}")
        self._values = cast("Mapping[str, object]", value)
        self._asked: set[str] = set()
        self.where = where

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def path(self, key: str) -> str:
        """Return the full name of a key, for messages."""
        return f"{self.where}.{key}"

    def raw(self, key: str, default: object = None) -> object:
        """Return the value as JSON has it, or `default` if the key is absent."""
        self._asked.add(key)
        return self._values.get(key, default)

    def integer(self, key: str, default: int | None, low: int, high: int = 2**63 - 1) -> int:
        """Return a whole number in [low, high]; required if `default` is None."""
        return integer(self._required(key, default), self.path(key), low, high)

    def number(
        self, key: str, default: float | None, low: float, high: float, *, above: bool = False
    ) -> float:
        """Return a finite number in [low, high], or in (low, high] with `above`."""
        return number(self._required(key, default), self.path(key), low, high, above=above)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a non-empty string."""
        return text(self._required(key, default), self.path(key))

    def choice(self, key: str, default: Choice | None, choices: tuple[Choice, ...]) -> Choice:
        """Return one of the given strings."""
        value = self._required(key, default)
        for allowed in choices:
            if value == allowed:
                return allowed
        raise JobInvalid(f"{self.path(key)} must be one of {', '.join(choices)}; got {_shown(value)}")

    def items(self, key: str, default: tuple[object, ...] | None = None) -> Iterator[tuple[str, object]]:
        """Give the elements of a list, each with its path."""
        value = self._required(key, default)
        if not isinstance(value, list | tuple):
            raise JobInvalid(f"{self.path(key)} must be a list, got {_shown(value)}")
        elements = cast("list[object]", value)
        return ((f"{self.path(key)}[{index}]", element) for index, element in enumerate(elements))

    def __enter__(self) -> Fields:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        unknown = sorted(set(self._values) - self._asked)
        if unknown and error is None:
            known = ", ".join(sorted(self._asked))
            raise JobInvalid(f"{self.where} has unknown keys {', '.join(unknown)}; known are {known}")

    def _required(self, key: str, default: object) -> object:
        value = self.raw(key, default)
        if value is None and key not in self._values:
            raise JobInvalid(f"{self.path(key)} is missing")
        return value


def text(value: object, where: str) -> str:
    """Return `value` as a non-empty string."""
    if not isinstance(value, str) or not value:
        raise JobInvalid(f"{where} must be a non-empty string, got {_shown(value)}")
    return value


def integer(value: object, where: str, low: int, high: int) -> int:
    """Return `value` as a whole number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise JobInvalid(f"{where} must be a whole number from {low} to {high}, got {_shown(value)}")
    return value


def number(value: object, where: str, low: float, high: float, *, above: bool = False) -> float:
    """Return `value` as a finite float in [low, high], or in (low, high] with `above`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise JobInvalid(f"{where} must be a finite number, got {_shown(value)}")
    if not low <= value <= high or (above and value == low):
        bracket = "(" if above else "["
        raise JobInvalid(f"{where} must be in {bracket}{low:g}, {high:g}], got {value!r}")
    return float(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
