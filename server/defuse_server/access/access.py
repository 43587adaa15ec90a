"""Decides who a caller is, by the token that it shows."""

import datetime
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from defuse_server.access.caller import ANYONE, SERVER, Caller, Credential
from defuse_server.access.role_map import role_map
from defuse_server.access.tokens import Token, Tokens, digest_of
from defuse_server.errors import Unauthenticated
from defuse_server.host.settings import Settings

if TYPE_CHECKING:
    from defuse_server.access.oidc import Oidc


class Access:
    """Knows callers by the server's token of the settings, tokens of their own, JWTs and certificates.

    Making one raises `UnsafeListen` for settings of JWTs or certificates that don't work.
    """

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings = settings
        self.tokens = Tokens(redis)
        self._certificate_roles = role_map(settings.tls_client_roles, "DEFUSE_TLS_CLIENT_ROLES")
        self._issuer = _issuer(settings) if settings.oidc_issuer is not None else None

    async def is_required(self) -> bool:
        """Tell whether callers must show a token."""
        if self._settings.auth == "off":
            return False
        return self._settings.requires_tokens or await self.tokens.any()

    @property
    def knows_certificates(self) -> bool:
        """Whether callers show certificates."""
        return self._settings.tls_client_ca is not None

    async def caller(self, authorization: Sequence[str], certificate: Sequence[str] = ()) -> Caller:
        """Return the caller by the values of its `authorization` headers, or else by its certificate.

        `certificate` are the names in a certificate that was verified, the most specific first. Raises
        `Unauthenticated`.
        """
        if certificate and not authorization:
            named = [name for name in certificate if name in self._certificate_roles]
            roles = frozenset(role for name in named for role in self._certificate_roles[name])
            return Caller(Credential.CERTIFICATE, roles, (named or certificate)[0])
        if len(authorization) == 1:
            scheme, _, shown = authorization[0].partition(" ")
            if scheme.lower() == "bearer" and shown:
                return await self.holder(shown)
        if not await self.is_required():
            return ANYONE
        if not authorization:
            raise _refused("missing", "no token came: show it as `authorization: Bearer TOKEN`")
        raise _refused("malformed", "expected `authorization: Bearer TOKEN` once, got something else")

    async def holder(self, shown: str) -> Caller:
        """Return who holds a token.

        Raises `Unauthenticated`, which never tells the token, and `BackendUnavailable` without the issuer's
        keys.
        """
        if self.is_server_token(shown):
            return SERVER
        # Tokens of our own have no dots.
        if self._issuer is not None and shown.count(".") == 2:
            return await self._issuer.caller(shown)
        return await self.holder_of_digest(digest_of(shown))

    async def holder_of_digest(self, digest: str) -> Caller:
        """Return who holds the token with this digest. Raises `Unauthenticated`."""
        if self._settings.auth == "off":
            return ANYONE
        token = await self.tokens.find(digest)
        if token is not None and token.is_good:
            return Caller(Credential.TOKEN, token.roles, token.name)
        if token is None and not await self.is_required():
            return ANYONE
        raise _not_good(token)

    def is_server_token(self, shown: str) -> bool:
        """Tell whether this is the server's token."""
        token = self._settings.token
        return token is not None and hmac.compare_digest(shown.encode(), token.get_secret_value().encode())


def _issuer(settings: Settings) -> "Oidc":
    # Imported here: it loads cryptography, which few services need.
    from defuse_server.access.oidc import Oidc

    return Oidc(settings)


def _not_good(token: Token | None) -> Unauthenticated:
    if token is None:
        return _refused("unknown", "this token is unknown to this server")
    if token.revoked_ms:
        return _refused("revoked", f"this token was revoked at {_time(token.revoked_ms)}: ask for a new one")
    return _refused("expired", f"this token expired at {_time(token.expires_ms)}: ask for a new one")


def _refused(cause: str, message: str) -> Unauthenticated:
    return Unauthenticated(message, figures={"cause": cause})


def _time(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms // 1000, datetime.UTC).isoformat().replace("+00:00", "Z")
