"""The server's address and the channels to it."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import grpc

from defuse.errors import ArgumentError

DEFAULT_ADDRESS = "127.0.0.1:50151"
LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024

OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
    # A server closes a connection that pings more often than it allows: ours allows a ping every 10 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # 0: pings go on for as long as a call waits. By default the third one is held back.
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC's own default lets up to two minutes pass before it looks for a server that came back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


@dataclass(frozen=True)
class Connection:
    """A server's address (`host:port`), the token to send, and the CAs to trust, in PEM.

    `ca_pem` None means no TLS; empty means TLS with gRPC's own CAs. `client_pem` are the private key and the
    certificate chain that the client shows, in PEM.
    """

    address: str
    token: str | None = field(default=None, repr=False)
    ca_pem: bytes | None = None
    client_pem: tuple[bytes, bytes] | None = field(default=None, repr=False)

    @classmethod
    def resolve(
        cls,
        address: str | None = None,
        token: str | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        tls: bool = False,
    ) -> Self:
        """Take arguments that are None from DEFUSE_ADDRESS, DEFUSE_TOKEN and DEFUSE_TLS_CA.

        DEFUSE_TLS_CLIENT_CERT and DEFUSE_TLS_CLIENT_KEY name the files of the client's certificate and key.

        Raises `ArgumentError` for an address that is not `host:port`, or for one of these files without the
        other or without TLS, and `OSError` if a file can't be read.
        """
        address = address or os.environ.get("DEFUSE_ADDRESS") or DEFAULT_ADDRESS
        if "://" in address or not address.rpartition(":")[2].isdigit():
            raise ArgumentError(
                f"expected the server's address as host:port, such as {DEFAULT_ADDRESS}; got {address!r}"
            )
        ca_file = tls_ca or os.environ.get("DEFUSE_TLS_CA")
        ca_pem = Path(ca_file).read_bytes() if ca_file else (b"" if tls else None)
        token = token or os.environ.get("DEFUSE_TOKEN") or None
        return cls(address, token, ca_pem, _client_pem(tls=ca_pem is not None))

    def open(self, library: Any) -> Any:
        """Return a channel of `grpc`, or of `grpc.aio` for event loops. It connects at its first call."""
        if self.ca_pem is None:
            return library.insecure_channel(self.address, options=OPTIONS)
        key, chain = self.client_pem or (None, None)
        credentials = grpc.ssl_channel_credentials(self.ca_pem or None, key, chain)
        return library.secure_channel(self.address, credentials, options=OPTIONS)


def _client_pem(*, tls: bool) -> tuple[bytes, bytes] | None:
    variables = ("DEFUSE_TLS_CLIENT_KEY", "DEFUSE_TLS_CLIENT_CERT")
    key, certificate = (os.environ.get(variable) for variable in variables)
    if not key and not certificate:
        return None
    if not (key and certificate and tls):
        raise ArgumentError(f"expected both of {' and '.join(variables)}, and TLS; got only some of them")
    return Path(key).read_bytes(), Path(certificate).read_bytes()
