"""Sessions of the pages: a name in a signed cookie, and a token against cross-site requests."""

import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from defuse_server.access.access import Access
from defuse_server.access.caller import ANYONE, SERVER, Caller, Credential
from defuse_server.access.tokens import digest_of
from defuse_server.errors import Unauthenticated
from defuse_server.records.sealed import Sealer

COOKIE: Final = "defuse-session"
LIFETIME_S: Final = 30 * 24 * 3600
_LONGEST_COOKIE: Final = 2000


@dataclass(frozen=True)
class Session:
    """One browser's session. `annotator` is empty until somebody signs in."""

    nonce: str
    annotator: str = ""
    credential: str = ""
    """Digest of the token with which the visitor signed in; `SERVERS` for the server's; empty without one."""
    caller: Caller | None = None
    """Who the visitor is now, or None if the visitor has yet to show a token."""


SERVERS: Final = "server"


class Sessions:
    """Makes and reads session cookies. All processes on one Redis read each other's.

    If the server's token changes, all sessions end. If a caller's token ends, so do its sessions.
    """

    def __init__(self, sealer: Sealer, token: SecretStr | None, access: Access) -> None:
        self._sealer = sealer
        self._access = access
        secret = token.get_secret_value() if token is not None else ""
        self._purpose = f"web-session:{hashlib.sha256(secret.encode()).hexdigest()}"

    async def asks_for_token(self) -> bool:
        """Tell whether a visitor must show a token."""
        return await self._access.is_required()

    def fresh(self) -> Session:
        """Return a session in which nobody has signed in."""
        return Session(secrets.token_urlsafe(16))

    async def signed_in(self, annotator: str, shown: str) -> Session:
        """Return a new session of a visitor who shows a token. It is new to prevent session fixation.

        Raises `Unauthenticated` if the token is not good, and `PermissionDenied` if it is another's.
        """
        caller = await self._access.caller([f"Bearer {shown}"] if shown else [])
        if caller.credential is Credential.OIDC:
            message = "the pages take tokens of `defuse-server token create` and DEFUSE_TOKEN, no JWT"
            raise Unauthenticated(message, figures={"cause": "unknown"})
        is_own = caller not in (ANYONE, SERVER)
        credential = digest_of(shown) if is_own else SERVERS if caller == SERVER else ""
        return Session(secrets.token_urlsafe(16), caller.annotator(annotator), credential, caller)

    async def cookie(self, session: Session) -> str:
        """Return the cookie's value."""
        position = json.dumps([session.nonce, session.annotator, session.credential, int(time.time())])
        return await self._sealer.seal(self._purpose, position)

    async def read(self, cookie: str | None) -> Session | None:
        """Return the session in a cookie, or None if the cookie is foreign or too old, or its token is."""
        if not cookie or len(cookie) > _LONGEST_COOKIE:
            return None
        position = await self._sealer.open(self._purpose, cookie)
        if position is None:
            return None
        nonce, annotator, credential, made_s = json.loads(position)
        if time.time() - made_s >= LIFETIME_S or not isinstance(credential, str):
            return None
        if credential not in ("", SERVERS):
            try:
                return Session(nonce, annotator, credential, await self._access.holder_of_digest(credential))
            except Unauthenticated:
                return None
        if credential == SERVERS:
            return Session(nonce, annotator, credential, SERVER)
        # Whoever signed in without a token signs in again once one is asked for.
        asked = await self.asks_for_token()
        return Session(nonce, "" if asked else annotator, "", None if asked else ANYONE)

    async def csrf_token(self, session: Session) -> str:
        """Return the token that a page of this session sends with each change."""
        return await self._sealer.seal("web-csrf", session.nonce)

    async def is_own(self, session: Session, csrf_token: str) -> bool:
        """Tell whether the token belongs to this session."""
        return await self._sealer.open("web-csrf", csrf_token) == session.nonce
