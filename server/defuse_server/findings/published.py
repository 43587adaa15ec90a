"""What an audit publishes under numbers from 0 on, regions or bugs: one way to read and list it."""

import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from defuse.v1.audit_service_pb2 import Bug, Region
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import NotFound
from defuse_server.names import audit_id
from defuse_server.records.paging import checked_page_size, opened_page_token
from defuse_server.records.sealed import Sealer

_READ_BATCH = 200

Finding = TypeVar("Finding", Region, Bug)


class Published(ABC, Generic[Finding]):
    """The findings of one kind, of all audits."""

    def __init__(self, redis: Redis, kind: type[Finding], key: Callable[[str], str]) -> None:
        """Read findings of a kind from the hash `key(audit)`, number -> serialized message."""
        self._redis = redis
        self._sealer = Sealer(redis)
        self._kind = kind
        self._key = key

    @abstractmethod
    async def _labeled(self, audit: str, findings: Sequence[Finding]) -> builtins.list[Finding]:
        """Return findings of one audit with their labels and their parts."""

    @staticmethod
    @abstractmethod
    def parse_name(name: str) -> tuple[str, int]:
        """Return the audit and the number. Raises `InvalidRequest`."""

    async def get(self, name: str) -> Finding:
        """Return a finding with its label. Raises `InvalidRequest`, `NotFound`."""
        audit, number = self.parse_name(name)
        found = await self.range(audit, number, 1)
        if not found:
            raise NotFound(name)
        return found[0]

    async def count(self, audit: str) -> int:
        """Return the number of published findings."""
        return int(await cast("Any", self._redis.hlen(self._key(audit))))

    async def range(self, audit: str, first: int, limit: int) -> builtins.list[Finding]:
        """Return up to `limit` findings from number `first` on with their labels, in order."""
        return await self._labeled(audit, await self._read(audit, first, limit))

    async def all(self, audit: str) -> builtins.list[Finding]:
        """Return all findings with their labels, in order. The labels are read once, for all."""
        findings: list[Finding] = []
        while len(more := await self._read(audit, len(findings), _READ_BATCH)) == _READ_BATCH:
            findings += more
        return await self._labeled(audit, [*findings, *more])

    async def list(
        self, audit: str, page_size: int, page_token: str, *, state: int = 0, confirmed_only: bool = False
    ) -> tuple[builtins.list[Finding], str]:
        """Return a page in the order of the numbers, and the token of the next page (empty: the last page).

        `state` is a RegionState; 0 lists all. Raises `InvalidRequest`, `NotFound` (the audit),
        `PageTokenInvalid`.
        """
        size = checked_page_size(page_size)
        purpose = f"{self._kind.__name__.lower()}s:{audit}:{state}:{confirmed_only}"
        first = await opened_page_token(self._sealer, purpose, page_token) or 0
        audit_id(audit, "parent")
        if not await cast("Any", self._redis.exists(redis_keys.resource(audit))):
            raise NotFound(audit)
        # One more than asked for tells whether there is a next page.
        if state == 0 and not confirmed_only:
            found = await self.range(audit, first, size + 1)
        else:
            found = [
                finding
                for finding in (await self.all(audit))[first:]
                if state in (0, finding.state) and (finding.confirmed or not confirmed_only)
            ][: size + 1]
        if len(found) <= size:
            return found, ""
        _, next_number = self.parse_name(found[size].name)
        return found[:size], await self._sealer.seal(purpose, str(next_number))

    async def _read(self, audit: str, first: int, limit: int) -> builtins.list[Finding]:
        fields = [str(number) for number in range(first, first + limit)]
        bodies = await cast("Any", self._redis.hmget(self._key(audit), fields))
        return [self._kind.FromString(body) for body in bodies if body is not None]
