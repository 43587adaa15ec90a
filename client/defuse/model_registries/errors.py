"""Errors of gates over model registries."""

from defuse.errors import DefuseError


class RegistryError(DefuseError):
    """The model registry lacks something that the gate needs. Nothing was promoted."""


class RegistryUnavailable(RegistryError):
    """No model registry answers there. Try again later."""


class AliasMoved(RegistryError):
    """The alias no longer points to the version that the candidate was compared with."""


class VersionChanged(RegistryError):
    """A version has other bytes now than when it was evaluated."""
