"""The connection of one command."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from defuse.cli.output import errors
from defuse.client import Client


@dataclass(frozen=True)
class Server:
    """Where commands find the server; what is None comes from the environment."""

    address: str | None
    tls_ca: Path | None
    tls: bool
    timeout_s: float


def connect(context: typer.Context) -> Client:
    """Make the client that the options before the command ask for."""
    server = context.find_object(Server)
    if server is None:
        return Client()
    return Client(server.address, tls_ca=server.tls_ca, tls=server.tls, timeout_s=server.timeout_s)


@contextmanager
def left_running(name: str) -> Generator[None]:
    """Let Ctrl-C end the waiting, and not the job."""
    try:
        yield
    except KeyboardInterrupt:
        errors.print(f"{name} runs on. Watch it: defuse watch {name}   Stop it: defuse cancel {name}")
        raise typer.Exit(70) from None
