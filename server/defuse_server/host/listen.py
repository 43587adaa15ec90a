"""Checks that a server listens safely: beyond loopback, only with TLS and a token."""

import ipaddress

from defuse_server.host.settings import Settings


class UnsafeListen(Exception):
    """The settings would open a server to the network without protection, or contradict each other."""


def check(settings: Settings, address: str | None = None, *, signed: bool = False) -> None:
    """Raise `UnsafeListen` if settings contradict each other, or an address beyond loopback is not protected.

    It needs TLS, and callers must have to show a token.

    `address` is the API's by default. A server that accepts only `signed` requests needs no token.
    """
    address = address or settings.address
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise UnsafeListen("expected both --tls-cert and --tls-key for TLS, got one of them")
    if settings.auth == "off" and settings.requires_tokens:
        raise UnsafeListen(
            "expected nothing that makes callers known with DEFUSE_AUTH=off, got DEFUSE_TOKEN, "
            "DEFUSE_OIDC_ISSUER or DEFUSE_TLS_CLIENT_CA: unset one of them"
        )
    if settings.tls_client_ca is not None and settings.tls_cert is None:
        raise UnsafeListen("expected --tls-cert and --tls-key with DEFUSE_TLS_CLIENT_CA, got neither")
    missing = [
        option
        for option, value in (
            ("--tls-cert and --tls-key", settings.tls_cert),
            ("DEFUSE_TOKEN or DEFUSE_AUTH=required", signed or settings.requires_tokens),
        )
        if not value
    ]
    if missing and not is_loopback(address):
        raise UnsafeListen(
            f"{address} can be reached from other machines, which needs TLS and a token; missing: "
            f"{', '.join(missing)}. Set them, or listen on 127.0.0.1"
        )


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches `host:port`. Names other than localhost count as reachable."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
