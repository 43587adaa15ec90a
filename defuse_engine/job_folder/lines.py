"""The engine's reports: one JSON object a line on standard output (`docs/job-folder.md`)."""

from __future__ import annotations

import json
import threading
import time
from io import TextIOBase
from typing import Any

from defuse_engine.errors import EngineError

PROGRESS_INTERVAL_S = 0.2


class Lines:
    """Writes the lines, and keeps the warnings for the result. Several threads may call it."""

    def __init__(self, stream: TextIOBase, device: str = "cpu"):
        self._stream = stream
        self.device = device
        """Named in every progress line."""
        self.warnings: list[dict[str, str]] = []
        self._started = ("", "")
        self._started_s = 0.0
        self._started_done = 0
        self._last_done = 0
        self._last_s = 0.0
        self._lock = threading.RLock()

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Report progress, at most five times a second, and always at the start and the end of a stage.

        A `total` of 0 means that it is not known. Such a stage has no end to report.
        The rate starts anew if a stage counts something else, or counts from the start again.
        """
        with self._lock:
            now = time.monotonic()
            if (stage, unit) != self._started or done < self._last_done:
                self._started, self._started_s, self._started_done = (stage, unit), now, done
            elif (not total or done < total) and now - self._last_s < PROGRESS_INTERVAL_S:
                return
            self._last_s, self._last_done = now, done
            elapsed_s = now - self._started_s
            rate = round((done - self._started_done) / elapsed_s, 3) if elapsed_s > 0 else 0.0
            counts = {"stage": stage, "done": done, "total": total, "unit": unit}
            self._write("progress", **counts, rate_per_s=rate, device=self.device)

    def preflight(self, figures: dict[str, Any]) -> None:
        """Report the figures of the preflight."""
        self._write("preflight", figures=figures)

    def warning(self, reason: str, message: str) -> None:
        """Report a warning, and keep it for the result."""
        self.warnings.append({"reason": reason, "message": message})
        self._write("warning", reason=reason, message=message)

    def chunk(self, shard: int, file: str, records: int, candidates: int, seeds: int) -> None:
        """Report a finished shard of the search, and how many seeds took part in it."""
        self._write("chunk", shard=shard, file=file, records=records, candidates=candidates, seeds=seeds)

    def result(self, file: str) -> None:
        """Report that the result is written."""
        self._write("result", file=file)

    def error(self, error: EngineError) -> None:
        """Report why the job failed."""
        self._write("error", reason=error.reason.value, message=error.message, figures=error.figures)

    def _write(self, event: str, **details: Any) -> None:
        line = json.dumps({"event": event, **details}) + "\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()
