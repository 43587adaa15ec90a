"""What a registry refuses: RegistryError, and what callers tell apart of it."""

from __future__ import annotations

from defuse.errors import DefuseError


class RegistryError(DefuseError):
    """The registry lacks what the gate needs, or has it in another form; nothing was promoted."""


class RegistryUnavailable(RegistryError):
    """No registry answers there, or it stops. Trying again later may help."""


class AliasMoved(RegistryError):
    """The alias is no longer at the version that the candidate was judged against."""


class VersionChanged(RegistryError):
    """A version has other bytes now than those that were judged."""
