"""From arguments to an exit code.

0 done, or the gate's PASS; 1 FAIL; 2 INCONCLUSIVE; 64 wrong usage; 69 no server; 70 anything else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

import typer

from defuse.cli.app import app
from defuse.cli.output import errors
from defuse.errors import (
    ArgumentError,
    CallFailed,
    DeadlineExceeded,
    DefuseError,
    JobFailed,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from defuse.model_registries.errors import RegistryError, RegistryUnavailable

DONE, USAGE, UNAVAILABLE, OTHER = 0, 64, 69, 70
GATE_CODES = (0, 1, 2)

_ADVICE: dict[type[DefuseError], str] = {
    Unavailable: "Is a server running there (`defuse-server up`)? Set DEFUSE_ADDRESS for another.",
    Unauthenticated: "Give the server's token in DEFUSE_TOKEN.",
    NotFound: "Names look like audits/ID; `defuse audit list` shows the audits.",
    DeadlineExceeded: "Give it more time: defuse --timeout-s 120 ...",
    Unimplemented: "Is that address a Defuse server, and as new as this client?",
}


def run(arguments: Sequence[str]) -> int:
    """Run a command; print what went wrong, if anything did, and return the exit code."""
    what = " ".join(["defuse", *_words(arguments)])
    logger, first_retry = logging.getLogger("defuse"), _FirstRetry()
    logger.setLevel(logging.INFO)
    logger.addHandler(first_retry)
    try:
        code = typer.main.get_command(app).main(list(arguments), prog_name="defuse", standalone_mode=False)
    except SystemExit:
        # typer's own way out, when nobody reads stdout any more.
        return OTHER
    except Exception as error:
        return _explain(what, error)
    finally:
        logger.removeHandler(first_retry)
    return code if code in GATE_CODES or code == OTHER else (OTHER if code else DONE)


def _words(arguments: Sequence[str]) -> list[str]:
    commands = [command.name for command in app.registered_commands]
    groups = [group.name for group in app.registered_groups]
    for position, argument in enumerate(arguments):
        if argument in commands:
            return [argument]
        if argument in groups:
            return [*arguments[position : position + 2]]
    return []


def _explain(what: str, error: Exception) -> int:
    if getattr(error, "exit_code", None) == 2 and hasattr(error, "format_message"):
        usage = cast(Any, error)
        if message := usage.format_message():
            errors.print(f"{what}: {message}", markup=False)
        errors.print(f"`{usage.ctx.command_path if usage.ctx else 'defuse'} --help` shows what it takes.")
        return USAGE
    unavailable = isinstance(error, (Unavailable, RegistryUnavailable))
    if isinstance(error, (ArgumentError, RegistryError)) and not unavailable:
        errors.print(f"{what}: {error}", markup=False)
        return USAGE
    errors.print(f"{what} failed: {_reason(error)}", markup=False)
    if isinstance(error, JobFailed):
        for name, value in sorted(error.failure.figures.items()):
            errors.print(f"  {name} = {value}", markup=False)
    if advice := _ADVICE.get(cast(Any, type(error))):
        errors.print(advice, markup=False)
    return UNAVAILABLE if unavailable else OTHER


def _reason(error: Exception) -> str:
    match error:
        case CallFailed():
            return f"{error.reason_name}: {error}"
        case DefuseError():
            return str(error)
        case OSError():
            return f"{error.filename or 'file'}: {error.strerror or error}"
        case typer.Abort():
            return "interrupted"
        case _:
            return f"unexpected {type(error).__name__}: {error}"


class _FirstRetry(logging.Handler):
    """Says once that the server is not there, so that the wait for it does not look like work."""

    def __init__(self) -> None:
        super().__init__()
        self._said = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._said:
            self._said = True
            errors.print("The server is unavailable; trying again ...")
