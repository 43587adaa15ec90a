"""Callers' tokens. Redis has only their digests: a token is seen once, by whoever makes it."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.access.roles import Role
from defuse_server.errors import InvalidRequest, NotFound
from defuse_server.host.redis_client import Script

PREFIX: Final = "defuse_"
"""Tokens begin with it, so that people and scanners of secrets know one when they see it."""
NAME_CHARACTERS: Final = 100
"""Longest name, in characters: as long as an annotator's."""
_RANDOM_BYTES: Final = 32
_USE_RESOLUTION_MS: Final = 10 * 60 * 1000
_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Token:
    """What is known of a token. Times are Redis times in ms, 0 for never."""

    digest: str
    name: str
    roles: frozenset[Role]
    created_ms: int
    expires_ms: int
    revoked_ms: int
    used_ms: int
    now_ms: int

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return 0 < self.expires_ms <= self.now_ms

    @property
    def is_good(self) -> bool:
        """Whether it admits its holder."""
        return not self.revoked_ms and not self.is_expired


class Tokens:
    """The tokens of all callers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._create = Script(redis, _FOLDER / "create_token.lua")
        self._revoke = Script(redis, _FOLDER / "revoke_token.lua")

    async def create(self, name: str, roles: Sequence[Role], lifetime_s: float | None = None) -> str:
        """Make a token and return it, for the only time. With `lifetime_s` it expires.

        Raises `InvalidRequest` for a name that is not one, or that a good token has already.
        """
        if not (1 <= len(name) <= NAME_CHARACTERS and name.isprintable() and name == name.strip()):
            raise InvalidRequest([("name", f"expected 1 to {NAME_CHARACTERS} printable characters")])
        token = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
        lifetime_ms = 0 if lifetime_s is None else max(1, round(lifetime_s * 1000))
        about = [digest_of(token), name, ",".join(sorted(set(roles))), lifetime_ms]
        if not await self._create([redis_keys.ACCESS_TOKENS], about):
            raise InvalidRequest([("name", f"{name} has a token that is good: revoke it first")])
        return token

    async def revoke(self, name: str) -> None:
        """End the good token of this name. Raises `NotFound` if there is none."""
        if not await self._revoke([redis_keys.ACCESS_TOKENS], [name]):
            raise NotFound(f"a token of {name!r} that is good")

    async def any(self) -> bool:
        """Tell whether a token was ever made."""
        return bool(await cast("Any", self._redis.exists(redis_keys.ACCESS_TOKENS)))

    async def list(self) -> list[Token]:
        """Return all tokens, in the order in which they were made."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(redis_keys.ACCESS_TOKENS)
            pipe.hgetall(redis_keys.ACCESS_TOKEN_USES)
            pipe.time()
            entries, uses, now = await pipe.execute()
        tokens = [_token(digest, entry, uses.get(digest), now) for digest, entry in entries.items()]
        return sorted(tokens, key=lambda token: token.created_ms)

    async def find(self, digest: str) -> Token | None:
        """Return what is known of a token by its digest, or None; a good one is now used."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(redis_keys.ACCESS_TOKENS, digest)
            pipe.hget(redis_keys.ACCESS_TOKEN_USES, digest)
            pipe.time()
            entry, used, now = await pipe.execute()
        if entry is None:
            return None
        token = _token(digest.encode(), entry, used, now)
        if token.is_good and token.now_ms - token.used_ms >= _USE_RESOLUTION_MS:
            await cast("Any", self._redis.hset(redis_keys.ACCESS_TOKEN_USES, digest, str(token.now_ms)))
        return token


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal. Its 256 random bits need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def _token(digest: bytes, entry: bytes, used: bytes | None, now: tuple[int, int]) -> Token:
    told = json.loads(entry)
    return Token(
        digest=digest.decode(),
        name=told["name"],
        roles=frozenset(Role(role) for role in told["roles"].split(",")),
        created_ms=int(told["created_ms"]),
        expires_ms=int(told["expires_ms"]),
        revoked_ms=int(told["revoked_ms"]),
        used_ms=int(used or 0),
        now_ms=now[0] * 1000 + now[1] // 1000,
    )
