"""The reports of a stage, which the job turns into lines on standard output."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Reporter(Protocol):
    """Receives progress and warnings. Calls are cheap: stages report at least once a second."""

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Report `done` of `total` `unit`s (`items`, `seeds`, `regions`, `steps`) of a stage.

        `total` holds throughout the stage; it is 0 if it is not known.
        """
        ...

    def warning(self, reason: str, message: str) -> None:
        """Report something that the reader of the result has to know; the job goes on."""
        ...
