"""A setting: a number of a job's config, or a list of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from defuse_engine.errors import JobInvalid
from defuse_engine.strict_json import Fields, integer, number


@dataclass(frozen=True)
class Setting:
    """The default of a setting, and what job.json may say instead."""

    default: Any
    """A number; a tuple, if the setting is a list."""
    least: int | float = 0
    """An int, if the values are whole."""
    most: int | float = 2**63 - 1
    above: bool = False
    """The values are greater than `least`."""
    most_values: int = 0
    """How many values a list may have."""
    paper: Any = None
    """The default of `preset: paper`, if it is another."""
    fixed: bool = False
    """`preset: paper` allows no value but its own."""

    def default_of(self, preset: str | None) -> Any:
        """Return the default of a preset; None is that of a config without presets."""
        return self.paper if preset == "paper" and self.paper is not None else self.default

    def read(self, fields: Fields, key: str, default: Any) -> Any:
        """Return the value of `key`, or `default` if it is absent. Raises `JobInvalid` if out of range."""
        if not isinstance(self.default, tuple):
            return self._checked(fields.raw(key, default), fields.path(key), default)
        values = tuple(self._checked(value, at, self.most) for at, value in fields.items(key, default))
        if len(values) > self.most_values:
            raise JobInvalid(f"{fields.path(key)} must hold at most {self.most_values}, got {len(values)}")
        return values

    def _checked(self, value: object, where: str, default: int | float) -> int | float:
        # A default may lie below the range, as 0 does for no limit.
        low = min(self.least, default)
        if isinstance(self.least, int):
            return integer(value, where, int(low), int(self.most))
        return number(value, where, float(low), float(self.most), above=self.above and default > self.least)
