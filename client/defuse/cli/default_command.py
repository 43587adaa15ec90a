"""A group of commands that runs one of them where none is named."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

DEFAULT = "annotate"


class DefaultCommandGroup(TyperGroup):
    """Takes `defuse label AUDIT` for `defuse label annotate AUDIT`: what people type most is the shortest."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command before arguments that begin with none of the commands."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)
