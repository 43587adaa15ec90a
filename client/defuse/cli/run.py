"""Runs a command and turns its result into an exit code.

0 done, or the gate's PASS; 1 FAIL; 2 INCONCLUSIVE; 64 wrong usage; 65 a file whose content can't be used;
66 no such name; 69 no server; 70 any other error; 130 Ctrl-C.
"""

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import typer

from defuse import errors
from defuse.cli.app import app
from defuse.cli.output import stderr
from defuse.evidence import EvidenceInvalid
from defuse.model_registries.errors import RegistryError, RegistryUnavailable
from defuse.v1.error_reason_pb2 import ErrorReason

DONE, USAGE, BAD_FILE, NO_SUCH_NAME, UNAVAILABLE, OTHER, INTERRUPTED = 0, 64, 65, 66, 69, 70, 130
GATE_CODES = (0, 1, 2)

_ADVICE: dict[type[errors.DefuseError], str] = {
    errors.Unavailable: "Start a server there with `defuse-server up`, or set DEFUSE_ADDRESS to another one.",
    errors.Unauthenticated: "Set DEFUSE_TOKEN to your token, or to the server's.",
    errors.PermissionDenied: "Ask whoever runs the server for a token with one of these roles.",
    errors.NotFound: "`defuse list audits` shows the audits, and so on: see `defuse list --help`.",
    errors.DeadlineExceeded: "Give it more time with defuse --timeout-s 120 ...",
    errors.Unimplemented: "Check that a Defuse server is there, and that it is as new as this client.",
}


def run(arguments: Sequence[str]) -> int:
    """Run a command, print any error to stderr, and return the exit code."""
    what = " ".join(["defuse", *_words(arguments)])
    logger, first_retry = logging.getLogger("defuse"), _FirstRetry()
    logger.setLevel(logging.INFO)
    logger.addHandler(first_retry)
    try:
        code = _command().main(list(arguments), prog_name="defuse", standalone_mode=False)
    except SystemExit as ended:
        # typer exits like this when a shell has asked for completions, or nobody reads stdout any more.
        return OTHER if ended.code else DONE
    except typer.Abort:
        stderr.print(f"{what}: interrupted", markup=False)
        return INTERRUPTED
    except Exception as error:
        return _explain(what, error)
    finally:
        logger.removeHandler(first_retry)
    return code if code in (*GATE_CODES, BAD_FILE, OTHER, INTERRUPTED) else (OTHER if code else DONE)


@cache
def _command() -> Any:
    # Made once: reading all the signatures takes some 60 ms.
    return typer.main.get_command(app)


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
            stderr.print(f"{what}: {message}", markup=False)
        command = usage.ctx.command_path if usage.ctx else "defuse"
        stderr.print(f"`{command} --help` shows its arguments and options.")
        return USAGE
    unavailable = isinstance(error, (errors.Unavailable, RegistryUnavailable))
    if isinstance(error, (errors.ArgumentError, RegistryError)) and not unavailable:
        stderr.print(f"{what}: {error}", markup=False)
        return USAGE
    stderr.print(f"{what} failed: {_reason(error)}", markup=False)
    if isinstance(error, errors.JobFailed):
        for name, value in sorted(error.failure.figures.items()):
            stderr.print(f"  {name} = {value}", markup=False)
    if advice := _ADVICE.get(cast(Any, type(error))):
        stderr.print(advice, markup=False)
    return UNAVAILABLE if unavailable else _code(error)


def _code(error: Exception) -> int:
    match error:
        case errors.InvalidArgument(reason=ErrorReason.ERROR_REASON_IMPORT_UNREADABLE):
            return BAD_FILE
        case errors.InvalidArgument():
            return USAGE
        case EvidenceInvalid() | errors.Rejected() | errors.DataLoss():
            return BAD_FILE
        case errors.NotFound():
            return NO_SUCH_NAME
        case _:
            return OTHER


def _reason(error: Exception) -> str:
    match error:
        case errors.CallFailed():
            return f"{error.reason_name}: {error}"
        case errors.DefuseError():
            return str(error)
        case OSError():
            return f"{error.filename or 'file'}: {error.strerror or error}"
        case _:
            return f"unexpected {type(error).__name__}: {error}"


class _FirstRetry(logging.Handler):
    """Says once that the server does not answer. Without it, the wait would look like work."""

    def __init__(self) -> None:
        super().__init__()
        self._said = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._said:
            self._said = True
            stderr.print("The server does not answer; trying again ...")
