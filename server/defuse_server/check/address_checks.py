"""Tries the addresses at which a process listens, and the certificate that it shows there."""

import datetime
import errno
import socket
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from defuse_server.check.finding import Finding, ok, warning, wrong
from defuse_server.host import listen
from defuse_server.host.listen import UnsafeListen
from defuse_server.host.settings import Settings
from defuse_server.monitoring.metrics_server import PORTS

_PATIENCE_S: Final = 3.0
_EXPIRES_SOON: Final = datetime.timedelta(days=14)


def check_api_address(settings: Settings) -> Finding:
    """Try the API's address."""
    if settings.address.startswith("unix:"):
        folder = Path(settings.address.removeprefix("unix:").removeprefix("//")).parent
        if folder.is_dir():
            return ok("API", f"{settings.address} can be made")
        return wrong("API", f"{folder} is no folder", "Make it, or set another DEFUSE_ADDRESS.")
    return _check_address("API", "DEFUSE_ADDRESS", settings.address, settings, _is_our_api)


def check_web_address(settings: Settings) -> Finding:
    """Try the address of the pages."""
    return _check_address("pages", "DEFUSE_WEB_ADDRESS", settings.web_address, settings, _is_our_page)


def check_metrics_address(settings: Settings) -> Finding:
    """Try the address of the metrics: one of its ports must be free."""
    address = settings.metrics_address
    if not address:
        return ok("metrics", "DEFUSE_METRICS_ADDRESS is empty: there are none")
    host, _, port = address.rpartition(":")
    first = int(port) if port.isdigit() else 0
    for candidate in range(first, first + PORTS) if first else ():
        found = _check_address("metrics", "DEFUSE_METRICS_ADDRESS", f"{host}:{candidate}", settings, None)
        if "in use" not in found.told:
            return found
    if first:
        told = f"all ports from {first} to {first + PORTS - 1} are in use"
        return wrong("metrics", told, "Set another DEFUSE_METRICS_ADDRESS.")
    return _check_address("metrics", "DEFUSE_METRICS_ADDRESS", address, settings, None)


def _check_address(
    subject: str,
    variable: str,
    address: str,
    settings: Settings,
    is_ours: Callable[[str, Settings], bool] | None,
) -> Finding:
    """Try to listen. An address that `is_ours` tells to be a running Defuse's is fine."""
    try:
        listen.check(settings, address)
    except UnsafeListen as error:
        return wrong(subject, str(error), f"The address is {variable}.")
    host, _, port = address.rpartition(":")
    bare = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in bare else socket.AF_INET
        socket.create_server((bare, int(port)), family=family).close()
    except (OSError, ValueError, OverflowError) as error:
        if getattr(error, "errno", 0) != errno.EADDRINUSE:
            return wrong(
                subject, f"can't listen on {address}: {error}", f"Set {variable} to another host:port."
            )
        if is_ours is not None and is_ours(address, settings):
            return ok(subject, f"{address} is in use by a Defuse that runs")
        advice = f"End it, or set another {variable}."
        return wrong(subject, f"{address} is in use by another program", advice)
    return ok(subject, f"can listen on {address}" if port != "0" else f"takes a free port of {host}")


def _is_our_api(address: str, settings: Settings) -> bool:
    if settings.tls_cert is not None:
        return _shows_our_certificate(address, settings.tls_cert)
    with grpc.insecure_channel(address) as channel:
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            stub.Check(health_pb2.HealthCheckRequest(), timeout=_PATIENCE_S)
        except grpc.RpcError:
            return False
    return True


def _is_our_page(address: str, settings: Settings) -> bool:
    if settings.tls_cert is not None:
        return _shows_our_certificate(address, settings.tls_cert)
    try:
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=_PATIENCE_S) as answer:
            return answer.read(100) == b"ok"
    except (OSError, ValueError):
        return False


def _shows_our_certificate(address: str, file: Path) -> bool:
    host, _, port = address.rpartition(":")
    try:
        shown = ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=_PATIENCE_S)
        return shown.strip() in file.read_text()
    except (OSError, ValueError):
        return False


def check_tls(settings: Settings) -> list[Finding]:
    """Read the certificate and its key. Nothing is told if the settings have neither."""
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None or key is None:
        return []
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        # Of a missing file, the library does not say which.
        missing = next((path for path in (cert, key) if not path.is_file()), None)
        told = f"{missing} is no file" if missing else f"{cert} and {key} can't be used: {_reason(error)}"
        advice = "DEFUSE_TLS_CERT is the certificate chain, DEFUSE_TLS_KEY its private key, both in PEM."
        return [wrong("TLS", told, advice)]
    return [_certificate(cert), *_mode(key)]


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)


def _certificate(file: Path) -> Finding:
    # Imported here: processes without a certificate need neither.
    from cryptography import x509
    from cryptography.x509.oid import ExtensionOID

    leaf = x509.load_pem_x509_certificates(file.read_bytes())[0]
    now = datetime.datetime.now(datetime.UTC)
    end = leaf.not_valid_after_utc
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        names = ", ".join(str(name.value) for name in extension)  # pyright: ignore
    except x509.ExtensionNotFound:
        advice = "Clients look at these names alone. Have one made with a subjectAltName."
        return wrong("TLS", f"{file} names no host", advice)
    if not leaf.not_valid_before_utc <= now <= end:
        told = f"{file} is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to {end:%Y-%m-%d}"
        return wrong("TLS", told, "Clients refuse it today. Renew it.")
    if end - now < _EXPIRES_SOON:
        return warning("TLS", f"{file} expires on {end:%Y-%m-%d}", "Renew it, and start the processes again.")
    return ok("TLS", f"{file} is for {names}, until {end:%Y-%m-%d}")


def _mode(key: Path) -> list[Finding]:
    if key.stat().st_mode & 0o004:
        return [warning("TLS", f"{key} can be read by other users", f"chmod 600 {key}")]
    return []
