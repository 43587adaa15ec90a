"""Callers who show a JWT of an OpenID Connect issuer, signed with one of its public keys (JWKS)."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, cast
from urllib.parse import urlsplit

import jwt
import structlog

from defuse_server.access.caller import Caller, Credential
from defuse_server.access.role_map import role_map
from defuse_server.errors import BackendUnavailable, Unauthenticated
from defuse_server.host.listen import UnsafeListen, is_loopback
from defuse_server.host.settings import Settings

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Signatures with a private key alone. If shared secrets counted, the public key would pass for one."""
LEEWAY_S: Final = 30.0
"""How far clocks may differ."""
_KEYS_LIFETIME_S: Final = 3600.0
_REFETCH_S: Final = 30.0
"""Unknown key ids make the keys fetched again at most this often."""
_FETCH_PATIENCE_S: Final = 5.0
_LARGEST_JWKS_BYTES: Final = 1024 * 1024
_SUBJECT_CHARACTERS: Final = 255

_log = structlog.get_logger(__name__)


class Oidc:
    """Knows callers by JWTs of the issuer of the settings."""

    def __init__(self, settings: Settings) -> None:
        """Raise `UnsafeListen` for a role that does not exist, or for keys at an address that is not safe."""
        self._settings = settings
        self._roles = role_map(settings.oidc_roles, "DEFUSE_OIDC_ROLES")
        self._keys = Keys(settings.oidc_jwks or "")

    async def caller(self, shown: str) -> Caller:
        """Return who holds a JWT. Raises `Unauthenticated`, and `BackendUnavailable` without the keys."""
        try:
            key_id = jwt.get_unverified_header(shown).get("kid")
        except jwt.InvalidTokenError:
            _refuse("malformed", "expected a JWT, got something else with two dots")
        key = await self._keys.find(key_id)
        if key is None:
            _refuse("unknown", "this JWT is signed with a key that its issuer does not publish")
        claims = self._verified(shown, key)
        subject = claims.get(self._settings.oidc_subject_claim)
        if not isinstance(subject, str) or not 1 <= len(subject) <= _SUBJECT_CHARACTERS:
            _refuse("malformed", f"expected a JWT with the claim {self._settings.oidc_subject_claim}")
        if not subject.isprintable():
            _refuse("malformed", f"expected printable characters in {self._settings.oidc_subject_claim}")
        values = _values(claims, self._settings.oidc_roles_claim)
        roles = frozenset(role for value in values for role in self._roles.get(value, ()))
        return Caller(Credential.OIDC, roles, subject)

    def _verified(self, shown: str, key: jwt.PyJWK) -> dict[str, Any]:
        issuer, audience = self._settings.oidc_issuer, self._settings.oidc_audience
        try:
            return jwt.decode(
                shown,
                key,
                algorithms=ALGORITHMS,
                issuer=issuer,
                audience=audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            _refuse("expired", "this JWT has expired: ask its issuer for a new one")
        except jwt.InvalidAudienceError:
            _refuse("unknown", f"expected a JWT for the audience {audience}, got one for another")
        except jwt.InvalidIssuerError:
            _refuse("unknown", f"expected a JWT of the issuer {issuer}, got one of another")
        except jwt.InvalidTokenError as error:
            _refuse("unknown", f"this JWT is not good: {error}")


class Keys:
    """The issuer's public keys, fetched when they are needed, and kept for an hour."""

    def __init__(self, source: str) -> None:
        """Take a URL or a file. Raise `UnsafeListen` for a URL that others could answer."""
        parts = urlsplit(source)
        is_near = parts.scheme == "http" and is_loopback(f"{parts.hostname}:{parts.port or 80}")
        if "://" in source and parts.scheme != "https" and not is_near:
            expected = "expected https://, http:// on loopback, or a file"
            raise UnsafeListen(f"DEFUSE_OIDC_JWKS: {expected}; got {source!r}")
        self._source = source
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_s: float | None = None
        self._tried_s: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: object) -> jwt.PyJWK | None:
        """Return the key with this id, or None. Raises `BackendUnavailable` if no keys could be fetched."""
        if not isinstance(key_id, str):
            return None
        async with self._lock:
            is_old = self._fetched_s is None or time.monotonic() - self._fetched_s > _KEYS_LIFETIME_S
            may_try = self._tried_s is None or time.monotonic() - self._tried_s > _REFETCH_S
            if (is_old or key_id not in self._keys) and may_try:
                await self._fetch()
            if self._fetched_s is None:
                raise BackendUnavailable("the server can't fetch the issuer's keys: try again")
        return self._keys.get(key_id)

    async def _fetch(self) -> None:
        """Fetch the keys. If that fails, those from before stay: callers survive an issuer that is away."""
        self._tried_s = time.monotonic()
        try:
            reading = asyncio.to_thread(_read, self._source)
            told = json.loads(await asyncio.wait_for(reading, _FETCH_PATIENCE_S))
            keys = jwt.PyJWKSet.from_dict(told).keys
        except (OSError, ValueError, jwt.PyJWTError) as error:
            _log.warning("oidc.keys_unavailable", source=self._source, error=str(error))
            return
        self._keys = {key.key_id: key for key in keys if key.key_id and key.public_key_use in ("sig", None)}
        self._fetched_s = self._tried_s
        _log.info("oidc.keys_fetched", source=self._source, count=len(self._keys))


def _read(source: str) -> bytes:
    if "://" not in source:
        return Path(source).read_bytes()
    request = urllib.request.Request(source, headers={"Accept": "application/json"})  # noqa: S310 - see Keys
    with urllib.request.urlopen(request, timeout=_FETCH_PATIENCE_S) as answer:  # noqa: S310
        data: bytes = answer.read(_LARGEST_JWKS_BYTES + 1)
    if len(data) > _LARGEST_JWKS_BYTES:
        raise ValueError(f"expected at most {_LARGEST_JWKS_BYTES} bytes of keys, got more")
    return data


def _values(claims: Mapping[str, Any], claim: str) -> list[str]:
    """Return the texts in a claim: one, or a list of them."""
    found: Any = claims
    for part in [claim] if claim in claims else claim.split("."):
        found = cast("dict[str, Any]", found).get(part) if isinstance(found, dict) else None
    values = cast("list[Any]", found) if isinstance(found, list) else [found]
    return [value for value in values if isinstance(value, str)]


def _refuse(cause: str, message: str) -> NoReturn:
    raise Unauthenticated(message, figures={"cause": cause})
