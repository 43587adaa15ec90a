"""Seals page tokens and cursors: clients can't read them, and can't make up their own."""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import cast

from redis.asyncio import Redis

from defuse_server import redis_keys

_SECRET_BYTES = 32
_SEAL_BYTES = 12


class Sealer:
    """Seals positions into text. All processes on one Redis share the secret, and open each other's seals."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._secret: bytes | None = None

    async def seal(self, purpose: str, position: str) -> str:
        """Return text for URLs that `open` turns back into `position`, for the same `purpose` only."""
        body = position.encode()
        return base64.urlsafe_b64encode(await self._seal(purpose, body) + body).decode().rstrip("=")

    async def open(self, purpose: str, text: str) -> str | None:
        """Return the position in a sealed text, or None if it was not sealed here for this purpose."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        seal, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, await self._seal(purpose, body)):
            return None
        return body.decode()

    async def _seal(self, purpose: str, body: bytes) -> bytes:
        if self._secret is None:
            fresh = secrets.token_bytes(_SECRET_BYTES)
            known = await self._redis.set(redis_keys.SECRET, fresh, nx=True, get=True)
            self._secret = cast("bytes | None", known) or fresh
        return hmac.digest(self._secret, purpose.encode() + b"\0" + body, hashlib.sha256)[:_SEAL_BYTES]
