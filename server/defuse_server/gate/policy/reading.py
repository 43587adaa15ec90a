"""Reads a policy's YAML. It reads nodes, as they know their lines."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, get_args, get_type_hints

import yaml

from defuse_server.gate.policy.bounds import (
    ANNOTATORS_THAT_AGREE,
    CONFIDENCE,
    AuditBudget,
    Checks,
)
from defuse_server.gate.policy.contradictions import find_contradictions
from defuse_server.gate.policy.faults import Faults, unknown
from defuse_server.gate.policy.ranges import Range, range_of_setting, ranges_of

VERSION: Final = 1
_CONFIDENCE: Final = Range(0.8, 0.9999)
_BOUNDS: Final = {name: get_args(bounds)[0] for name, bounds in get_type_hints(Checks).items()}
"""The class of each check's bounds."""
_AUDIT: Final = {field.name: range_of_setting(field.name) for field in fields(AuditBudget)}
TEXT_BYTES: Final = 64 * 1024
_DEPTH: Final = 8
_SECTIONS: Final = ("version", "confidence", "checks", "audit")
_NUMBER: Final = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_OFF: Final = {"off", "false", "no"}
"""Words that YAML reads as false, in any capitals."""

Places = dict[tuple[str, ...], Any]
"""The mark of each key, by its path."""


def read_policy(text: str) -> tuple[float, Checks, AuditBudget]:
    """Return the confidence, the checks and the audit's budget, with defaults for missing keys.

    Raises `PolicyInvalid` with all faults. Contradictions are reported only if every single value is valid.
    """
    faults = Faults()
    root = _composed(text, faults)
    places: Places = {}
    sections = _entries(root, (), "key", _SECTIONS, faults, places)
    _check_version(root, sections, faults)
    confidence = CONFIDENCE
    if "confidence" in sections:
        confidence = _number(sections["confidence"], "confidence", _CONFIDENCE, faults)
    nodes = _entries(sections.get("checks"), ("checks",), "check", _BOUNDS, faults, places)
    checks = {name: _check(node, name, faults, places) for name, node in nodes.items()}
    audit = _numbers(sections.get("audit"), ("audit",), _AUDIT, faults, places)
    faults.check()
    if checks.get("annotator_agreement"):
        audit.setdefault("annotators_per_region", ANNOTATORS_THAT_AGREE)
    read = confidence, Checks(**checks), AuditBudget(**audit)
    find_contradictions(*read, places, faults)
    faults.check()
    return read


def _check_version(root: Any, sections: Mapping[str, Any], faults: Faults) -> None:
    node = sections.get("version")
    if node is None or _shown(node) != repr(str(VERSION)):
        at = node or root
        faults.add(at.start_mark, f"expected `version: {VERSION}`, got {_shown(node) if node else 'none'}")


def _composed(text: str, faults: Faults) -> Any:
    """Return the root node. Aliases and depth are checked first, as they could cost more than the text."""
    size = len(text.encode("utf-8", "replace"))
    if size > TEXT_BYTES:
        faults.add_at(1, 1, f"expected at most {TEXT_BYTES:,} bytes, got {size:,}")
        faults.check()
    root = None
    try:
        _check_events(text, faults)
        faults.check()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = error.position - (before.rfind("\n") + 1) + 1
        faults.add_at(
            before.count("\n") + 1, column, f"not YAML: the character {error.character:#x} is not allowed"
        )
    except yaml.MarkedYAMLError as error:
        faults.add(error.problem_mark or error.context_mark, f"not YAML: {error.problem or error.context}")
    faults.check()
    if root is None:
        faults.add_at(1, 1, f"expected a mapping with `version: {VERSION}`, got no content")
        faults.check()
    return root


def _check_events(text: str, faults: Faults) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            faults.add(event.start_mark, "aliases are not allowed: write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            faults.add(event.start_mark, f"expected at most {_DEPTH} levels, got more")
            return


def _entries(
    node: Any, path: tuple[str, ...], kind: str, known: Any, faults: Faults, places: Places
) -> dict[str, Any]:
    """Return the values of a mapping by key. Unknown keys and repeated keys are faults."""
    where = path[-1] if path else "the policy"
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        faults.add(node.start_mark, f"{where}: expected a mapping, got {_shown(node)}")
        return {}
    entries: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else _shown(key)
        if (*path, name) in places and name in entries:
            first = places[*path, name].line + 1
            second = key.start_mark.line + 1
            faults.add(key.start_mark, f"{name} is there twice: in line {first} and in line {second}")
        elif name not in known:
            faults.add(key.start_mark, unknown(kind, name, list(known)))
        else:
            entries[name] = value
            places[*path, name] = key.start_mark
    return entries


def _check(node: Any, name: str, faults: Faults, places: Places) -> Any:
    """Return the bounds of a check, or None if it is off or wrong."""
    if _is_off(node):
        return None
    bounds = _BOUNDS[name]
    known = ranges_of(bounds)
    if not isinstance(node, yaml.MappingNode):
        shape = "{" + ", ".join(f"{key}: ..." for key in known) + "}"
        faults.add(node.start_mark, f"{name}: expected off or {shape}, got {_shown(node)}")
        return None
    values = _numbers(node, ("checks", name), known, faults, places)
    if "min" in known and "min" not in values and not hasattr(bounds, "min"):
        faults.add(node.start_mark, f"{name}: expected min, got none")
        return None
    return bounds(**values)


def _numbers(
    node: Any, path: tuple[str, ...], known: Mapping[str, Range], faults: Faults, places: Places
) -> dict[str, Any]:
    entries = _entries(node, path, f"key of {path[-1]}", known, faults, places)
    return {key: _number(value, f"{path[-1]}.{key}", known[key], faults) for key, value in entries.items()}


def _number(node: Any, name: str, allowed: Range, faults: Faults) -> Any:
    """Return the number at a node, or None if it is off or wrong."""
    if allowed.may_be_off and _is_off(node):
        return None
    plain = isinstance(node, yaml.ScalarNode) and node.style is None
    if not plain or not _NUMBER.fullmatch(node.value):
        faults.add(node.start_mark, f"{name}: expected {allowed}, got {_shown(node)}")
        return None
    value = float(node.value)
    if fault := allowed.fault(value):
        faults.add(node.start_mark, f"{name}: {fault}")
        return None
    return int(value) if allowed.whole else value


def _is_off(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value.lower() in _OFF


def _shown(node: Any) -> str:
    """Return a node for a message, shortened."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if not node.value:
        return "nothing"
    return repr(node.value if len(node.value) <= 60 else node.value[:57] + "...")
