"""The command `defuse`."""

import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code; see `defuse.cli.run` for the codes."""
    try:
        from defuse.cli.run import run

        sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))
    except KeyboardInterrupt:
        # Before a command began, or while it cleaned up.
        sys.exit(130)
