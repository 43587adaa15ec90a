"""Writes a policy as YAML."""

from collections.abc import Mapping
from typing import Any


def written(policy: Mapping[str, Any]) -> str:
    """Return YAML in block style, with the bounds of each check on one line."""
    lines: list[str] = []
    for key, value in policy.items():
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            lines += [f"  {name}: {_inline(entry)}" for name, entry in value.items()]
        else:
            lines.append(f"{key}: {_inline(value)}")
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_inline(entry)}" for key, entry in value.items()) + "}"
    return "off" if value is None else repr(value)
