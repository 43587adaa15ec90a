"""Sessions of the pages: a name in a signed cookie, and a token against cross-site requests."""

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from defuse_server.records.sealed import Sealer

COOKIE: Final = "defuse-session"
LIFETIME_S: Final = 30 * 24 * 3600
_LONGEST_COOKIE: Final = 2000


@dataclass(frozen=True)
class Session:
    """One browser's session. `annotator` is empty until somebody signs in."""

    nonce: str
    annotator: str = ""
    admitted: bool = False
    """True if the visitor showed the server's token, or the server has none."""


class Sessions:
    """Makes and reads session cookies. All processes on one Redis read each other's.

    If the server's token changes, all sessions end.
    """

    def __init__(self, sealer: Sealer, token: SecretStr | None) -> None:
        self._sealer = sealer
        self._token = token
        secret = token.get_secret_value() if token is not None else ""
        self._purpose = f"web-session:{hashlib.sha256(secret.encode()).hexdigest()}"

    @property
    def asks_for_token(self) -> bool:
        """Tell whether a visitor must show the server's token."""
        return self._token is not None

    def fresh(self) -> Session:
        """Return a session in which nobody has signed in."""
        return Session(secrets.token_urlsafe(16), admitted=self._token is None)

    def signed_in(self, annotator: str) -> Session:
        """Return a new session of this annotator. It is new to prevent session fixation."""
        return Session(secrets.token_urlsafe(16), annotator, admitted=True)

    def admits(self, shown: str) -> bool:
        """Tell whether this is the server's token. Any token is right if the server has none."""
        if self._token is None:
            return True
        return hmac.compare_digest(shown.encode(), self._token.get_secret_value().encode())

    async def cookie(self, session: Session) -> str:
        """Return the cookie's value."""
        position = json.dumps([session.nonce, session.annotator, session.admitted, int(time.time())])
        return await self._sealer.seal(self._purpose, position)

    async def read(self, cookie: str | None) -> Session | None:
        """Return the session in a cookie, or None if the cookie is foreign or too old."""
        if not cookie or len(cookie) > _LONGEST_COOKIE:
            return None
        position = await self._sealer.open(self._purpose, cookie)
        if position is None:
            return None
        nonce, annotator, admitted, made_s = json.loads(position)
        return Session(nonce, annotator, admitted) if time.time() - made_s < LIFETIME_S else None

    async def csrf_token(self, session: Session) -> str:
        """Return the token that a page of this session sends with each change."""
        return await self._sealer.seal("web-csrf", session.nonce)

    async def is_own(self, session: Session, csrf_token: str) -> bool:
        """Tell whether the token belongs to this session."""
        return await self._sealer.open("web-csrf", csrf_token) == session.nonce
