"""The connection of a command to the server."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from defuse.cli.output import stderr
from defuse.client import Client


@dataclass(frozen=True)
class Server:
    """The options that describe the server. Those that are None are taken from the environment."""

    address: str | None
    tls_ca: Path | None
    tls: bool
    timeout_s: float


def connect(context: typer.Context) -> Client:
    """Return a client for the server that the options before the command describe."""
    server = context.find_object(Server)
    if server is None:
        return Client()
    return Client(server.address, tls_ca=server.tls_ca, tls=server.tls, timeout_s=server.timeout_s)


@contextmanager
def left_running(name: str) -> Generator[None]:
    """Let Ctrl-C end the waiting, but not the job."""
    try:
        yield
    except KeyboardInterrupt:
        stderr.print(f"{name} keeps running. Watch it: defuse watch {name}   Stop it: defuse cancel {name}")
        raise typer.Exit(70) from None
