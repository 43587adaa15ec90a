"""Handles: sealed leases that pages hold, valid for one annotator, and usable in addresses."""

from dataclasses import dataclass

from defuse_server.errors import LeaseLost
from defuse_server.names import parse_task_name
from defuse_server.records.sealed import Sealer

_LONGEST = 500


@dataclass(frozen=True)
class Held:
    """The name of what a task is about, and the token of its lease."""

    region: str
    token: str


class Handles:
    """Seals leases for annotators, and opens them for the same annotator only."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def seal(self, annotator: str, region: str, token: str) -> str:
        """Return the handle of a lease."""
        return await self._sealer.seal(_purpose(annotator), f"{region} {token}")

    async def open(self, annotator: str, audit: str, handle: str) -> Held:
        """Return the lease of a handle. Raises `LeaseLost` for another annotator's or audit's handle."""
        position = await self._sealer.open(_purpose(annotator), handle) if len(handle) <= _LONGEST else None
        if position is not None:
            region, _, token = position.partition(" ")
            if parse_task_name(region)[0] == audit:
                return Held(region, token)
        raise LeaseLost("this task belongs to another annotator or another set: load the page again")


def _purpose(annotator: str) -> str:
    return f"web-task:{annotator}"
