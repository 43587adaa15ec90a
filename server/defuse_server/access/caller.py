"""The caller of the call that is being answered."""

from collections.abc import Set
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from defuse_server.access.roles import ROLES, Role
from defuse_server.errors import PermissionDenied


class Credential(StrEnum):
    """By what a caller is known."""

    NONE = "none"
    """By nothing: the server asks for no token."""
    SERVER_TOKEN = "server-token"  # noqa: S105 - the name of a kind
    """By DEFUSE_TOKEN, which several people may share."""
    TOKEN = "token"  # noqa: S105 - the name of a kind
    """By a token of its own."""
    OIDC = "oidc"
    """By a JWT of the issuer."""
    CERTIFICATE = "certificate"
    """By a certificate of a CA of the settings."""


@dataclass(frozen=True)
class Caller:
    """Somebody who calls. `subject` is empty unless the credential is the caller's own."""

    credential: Credential
    roles: Set[Role]
    subject: str = ""

    @property
    def key(self) -> str:
        """What limits count the caller by. Callers whose credential is not their own share one."""
        return f"{self.credential}:{self.subject}"

    def check(self, rpc: str) -> None:
        """Raise `PermissionDenied` if no role of the caller may call an RPC, such as `AuditService/GetAudit`.

        Raises `KeyError` for an RPC that is not of the contract.
        """
        needed = ROLES[rpc]
        if not needed.isdisjoint(self.roles):
            return
        wanted, came = _names(needed), _names(self.roles)
        raise PermissionDenied(
            f"{rpc} needs the role {wanted.replace(', ', ' or ')}; {self.subject} has {came}",
            figures={"rpc": rpc, "roles_needed": wanted, "roles": came},
        )

    def annotator(self, named: str) -> str:
        """Return under which name the caller's answers are kept.

        That is the subject, or what the caller names if its credential is not its own. Raises
        `PermissionDenied` for another's name.
        """
        if self.subject and named not in ("", self.subject):
            raise PermissionDenied(
                f"this token answers as {self.subject!r}, got the annotator {named[:100]!r}: leave it empty",
                figures={"subject": self.subject},
            )
        return self.subject or named


ANYONE: Final = Caller(Credential.NONE, frozenset({Role.ADMIN}))
"""Everybody, while the server asks for no token."""
SERVER: Final = Caller(Credential.SERVER_TOKEN, frozenset({Role.ADMIN}))
"""Whoever shows DEFUSE_TOKEN."""

CALLER: Final[ContextVar[Caller]] = ContextVar("CALLER")
"""The caller of the call that the present task answers."""


def _names(roles: Set[Role]) -> str:
    return ", ".join(role for role in Role if role in roles) or "no role"
