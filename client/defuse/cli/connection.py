"""The connection of a command to the server."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import typer

from defuse.cli.output import stderr
from defuse.client import Client


def connect(context: typer.Context) -> Client:
    """Return a client for the server that the options before the command describe."""
    open_client: Callable[[], Client] = context.obj or Client
    return open_client()


@contextmanager
def left_running(name: str, more: str = "") -> Generator[None]:
    """Let Ctrl-C end the waiting, but not the job. `more` is said to whoever ends it."""
    try:
        yield
    except KeyboardInterrupt:
        stderr.print(
            f"{name} keeps running. {more}Watch it: defuse watch {name}   Stop it: defuse cancel {name}"
        )
        raise typer.Exit(130) from None
