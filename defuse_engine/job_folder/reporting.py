"""What a stage may say while it works; the job turns it into lines on standard output."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Reporter(Protocol):
    """Receives progress and warnings. A call is cheap: stages report at least once a second of work."""

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """`done` of `total` `unit`s (`items`, `seeds`, `regions`, `steps`) of a stage are finished."""
        ...

    def warning(self, reason: str, message: str) -> None:
        """Something that the reader of the result has to know; the job goes on."""
        ...
