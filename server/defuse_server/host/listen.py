"""Where a server may listen, and with what credentials."""

import ipaddress

from defuse_server.host.settings import Settings


class UnsafeListen(Exception):
    """The settings would open the API to a network without protection, or contradict each other."""


def check(settings: Settings, address: str | None = None, *, signed: bool = False) -> None:
    """Raises UnsafeListen for half a TLS setting, and beyond loopback for a lack of TLS or of a token.

    `address` is the API's, unless another is given. What listens only to `signed` requests needs no token.
    """
    address = address or settings.address
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise UnsafeListen("TLS needs both --tls-cert and --tls-key, got one of them")
    missing = [
        option
        for option, value in (
            ("--tls-cert and --tls-key", settings.tls_cert),
            ("DEFUSE_TOKEN", signed or settings.token),
        )
        if not value
    ]
    if missing and not is_loopback(address):
        raise UnsafeListen(
            f"{address} can be reached from other machines: that needs TLS and a token; missing: "
            f"{', '.join(missing)}. Set them, or listen on 127.0.0.1"
        )


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `host:port`; a name other than localhost counts as reachable."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
