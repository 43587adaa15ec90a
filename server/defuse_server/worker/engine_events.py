"""The events that an engine prints, one JSON object per line (docs/job-folder.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

Figures = Mapping[str, Any]


class UnreadableLine(Exception):
    """The engine printed a line that is no event: it is broken, or of another version."""


@dataclass(frozen=True)
class StageProgress:
    """The progress of a stage: `done` of `total` `unit`s, at `rate_per_s`."""

    stage: str
    done: int
    total: int
    unit: str
    rate_per_s: float
    device: str


@dataclass(frozen=True)
class Preflight:
    """Figures measured before the search. They are sent even if they end the job."""

    figures: Figures


@dataclass(frozen=True)
class EngineWarning:
    """A warning of the engine, which continues."""

    reason: str
    message: str


@dataclass(frozen=True)
class ChunkReady:
    """A finished shard of the search, in `file` (relative to the job folder)."""

    shard: int
    file: str
    records: int
    candidates: int
    seeds: int = 0


@dataclass(frozen=True)
class ResultReady:
    """The job is done, with its result in `file` (relative to the job folder)."""

    file: str


@dataclass(frozen=True)
class EngineFailure:
    """The engine gives up, for a reason that the job's owner can act on."""

    reason: str
    message: str
    figures: Figures = field(default_factory=lambda: cast("dict[str, Any]", {}))


EngineEvent = StageProgress | Preflight | EngineWarning | ChunkReady | ResultReady | EngineFailure

_EVENTS: dict[str, type[EngineEvent]] = {
    "progress": StageProgress,
    "preflight": Preflight,
    "warning": EngineWarning,
    "chunk": ChunkReady,
    "result": ResultReady,
    "error": EngineFailure,
}


def parse_line(line: bytes) -> EngineEvent:
    """Read one line. Raises `UnreadableLine` if it is no event of docs/job-folder.md."""
    try:
        fields = json.loads(line)
        return _EVENTS[fields.pop("event")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        shown = line[:200].decode(errors="replace")
        raise UnreadableLine(f"expected a line of docs/job-folder.md, got {shown!r}") from error
