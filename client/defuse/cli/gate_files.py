"""The files that `defuse gate` writes: JUnit XML, a report, the signed evidence."""

import os
from dataclasses import dataclass
from pathlib import Path

from defuse.cli.output import stderr
from defuse.client import Client
from defuse.errors import ArgumentError, DefuseError
from defuse.messages import Evaluation

_REPORTS = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown"}


class EvidenceMissing(DefuseError):
    """The service has no such file for the evaluation."""


@dataclass(frozen=True)
class GateFiles:
    """The path of each file; None means that it is not wanted."""

    junit: Path | None
    report: Path | None
    evidence: Path | None

    def check(self, wait: bool) -> None:
        """Raise `ArgumentError`, before anything is evaluated, for a file that could not be written."""
        for path in filter(None, (self.junit, self.report, self.evidence)):
            if not wait:
                raise ArgumentError(f"expected to wait for the verdict to write {path}: leave out --no-wait")
            folder = path.parent
            if not folder.is_dir() or not os.access(folder, os.W_OK) or path.is_dir():
                raise ArgumentError(f"expected to write {path}, but {folder} is no writable folder")
        if self.report and self.report.suffix.lower() not in _REPORTS:
            raise ArgumentError(f"expected --report to end in .html or .md, got {self.report.name}")

    def write(self, client: Client, evaluation: Evaluation) -> None:
        """Download the files. Raises `EvidenceMissing` after it has written those that there are."""
        wanted = {"junit": self.junit, "envelope": self.evidence}
        if self.report:
            wanted[_REPORTS[self.report.suffix.lower()]] = self.report
        missing: list[str] = []
        for field, path in wanted.items():
            artifact: str = getattr(evaluation.evidence, field)
            if path and artifact:
                client.download(artifact, path)
                stderr.print(f"written: {path}", markup=False)
            elif path:
                missing.append(f"{path} ({field})")
        if missing:
            raise EvidenceMissing(
                f"expected files of {evaluation.name} for {', '.join(missing)}, found none. The worker signs "
                "evidence if it has a key in DEFUSE_SIGNING_KEY"
            )
