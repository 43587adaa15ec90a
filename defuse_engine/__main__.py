"""`python -m defuse_engine JOB_FOLDER` does the job of a folder (docs/job-folder.md)."""

from __future__ import annotations

import errno
import gc
import os
import sys
from io import TextIOBase
from pathlib import Path
from types import ModuleType

from defuse_engine.errors import EngineError, LimitExceeded, ModelOutOfMemory, out_of_memory
from defuse_engine.job_folder.job_file import Job, read_job
from defuse_engine.job_folder.limits import apply_limits
from defuse_engine.job_folder.lines import Lines
from defuse_engine.job_folder.watchdog import watch

EXIT_ERROR = 3
EXIT_USAGE = 64
_GARBAGE_COLLECTION_THRESHOLD = 50_000
"""New objects before a collection: torch and scikit-learn bring a million, none of which is garbage."""


def main(arguments: list[str]) -> int:
    """Return 0 after a result, 3 after an expected error, 64 on wrong usage; other codes mean a crash."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m defuse_engine JOB_FOLDER\n")
        return EXIT_USAGE
    lines = Lines(_claim_standard_output())
    try:
        job = read_job(Path(arguments[0]))
        apply_limits(job.limits, job.device)
        watch(job.limits, lambda exceeded: _end(lines, exceeded))
        _run(job, lines)
    except EngineError as error:
        lines.error(error)
        return EXIT_ERROR
    return 0


def _end(lines: Lines, exceeded: LimitExceeded) -> None:
    """End the process from any thread. What its other threads do ends with it."""
    lines.error(exceeded)
    sys.stderr.flush()
    os._exit(EXIT_ERROR)


def _run(job: Job, lines: Lines) -> None:
    try:
        # Threads that spin while they wait take cores from those that work: on a shared machine a step of
        # fine-tuning took 15 times as long. OpenMP reads this once, when torch loads it.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        _leave_out_compiler()
        # The limits hold from here on: what follows imports torch and opens strangers' files.
        from defuse_engine.job import run_job

        run_job(job, lines)
    except EngineError:
        raise
    except Exception as error:
        exceeded = _exceeded(error, job)
        if exceeded is None:
            raise
        raise exceeded from error


def _leave_out_compiler() -> None:
    """Keep torch's optimizers from importing torch's compiler: it takes over a second, and no job uses it."""
    compiler = ModuleType("torch._dynamo")
    vars(compiler).update(disable=_undecorated, graph_break=lambda: None)
    sys.modules[compiler.__name__] = compiler


def _undecorated(function: object, *_: object, **options: object) -> object:
    return function


def _exceeded(error: Exception, job: Job) -> LimitExceeded | None:
    """Return the limit that caused an error; None if none did."""
    if out_of_memory(error):
        return _memory_exceeded(error, job.limits.memory_bytes)
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return LimitExceeded(f"a file grew beyond the {job.limits.file_size_bytes} bytes granted")
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return LimitExceeded(f"the job opened more than the {job.limits.open_files} files granted")
    return None


def _memory_exceeded(error: Exception, granted: int | None) -> LimitExceeded:
    """Say what was refused memory: a model can ask for any amount, whatever the batch."""
    has = "the machine has" if granted is None else f"the {granted} bytes granted"
    what = "the job needs more memory than"
    if isinstance(error, ModelOutOfMemory):
        when = f"to answer a batch of {error.items}" if error.items else "to be opened"
        what = f"{error.what} needs more memory {when} than"
    figures = {} if granted is None else {"memory_bytes": granted}
    return LimitExceeded(f"{what} {has}: use a smaller model or dataset, or grant more", figures)


def _claim_standard_output() -> TextIOBase:
    """Keep standard output for the lines alone; what libraries print goes to standard error."""
    own = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(own, "w", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    gc.set_threshold(_GARBAGE_COLLECTION_THRESHOLD)
    code = main(sys.argv[1:])
    if code:
        # Nobody needs what other threads still work on.
        sys.stderr.flush()
        os._exit(code)
    # A collection at exit takes a second, for memory that the process gives back anyway.
    gc.freeze()
    sys.exit(code)
