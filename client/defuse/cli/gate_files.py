"""The files that `defuse gate` leaves: JUnit XML, a report, the signed evidence."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from defuse.cli.output import errors
from defuse.client import Client
from defuse.errors import ArgumentError, DefuseError
from defuse.messages import Evaluation

_REPORTS = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown"}


class EvidenceMissing(DefuseError):
    """The service has no such file of the evaluation."""


@dataclass(frozen=True)
class GateFiles:
    """Where each is wanted; None: nowhere."""

    junit: Path | None
    report: Path | None
    evidence: Path | None

    def check(self, wait: bool) -> None:
        """Find out before anything is judged what could not be written. Raises ArgumentError."""
        for path in filter(None, (self.junit, self.report, self.evidence)):
            if not wait:
                raise ArgumentError(f"{path} is written when the verdict is there: leave out --no-wait")
            folder = path.parent
            if not folder.is_dir() or not os.access(folder, os.W_OK) or path.is_dir():
                raise ArgumentError(f"expected to write {path}, but {folder} is no folder to write to")
        if self.report and self.report.suffix.lower() not in _REPORTS:
            raise ArgumentError(f"expected --report to end in .html or .md, got {self.report.name}")

    def write(self, client: Client, evaluation: Evaluation) -> None:
        """Download them. Raises EvidenceMissing, having written the others."""
        wanted = {"junit": self.junit, "envelope": self.evidence}
        if self.report:
            wanted[_REPORTS[self.report.suffix.lower()]] = self.report
        missing: list[str] = []
        for field, path in wanted.items():
            artifact: str = getattr(evaluation.evidence, field)
            if path and artifact:
                client.download(artifact, path)
                errors.print(f"written: {path}", markup=False)
            elif path:
                missing.append(f"{path} ({field})")
        if missing:
            raise EvidenceMissing(
                f"{evaluation.name} has nothing for {', '.join(missing)}. Evidence is signed where the "
                "worker has a key, DEFUSE_SIGNING_KEY"
            )
