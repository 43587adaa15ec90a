"""Limits that the engine sets itself before it opens a file. This module imports nothing heavy.

The engine runs models that strangers wrote. So it is a process of its own, and limits itself before torch is
imported.
"""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

from defuse_engine.job_folder.job_file import Limits

IMPORTS_ALLOWANCE_BYTES = 2 << 30
"""Address space for importing torch, scikit-learn and onnxruntime: 1.5 GB is enough, 0.9 is not."""
CPU_GRACE_S = 10
"""CPU time from the limit to the kill, plus one second for each core: the watchdog reports in between."""


def apply_limits(limits: Limits, device: str) -> None:
    """Limit this process; memory as address space, and only if no CUDA device may be used.

    CUDA maps far more address space than it uses. There the supervisor watches resident memory instead.
    """
    if limits.memory_bytes is not None and not _may_use_cuda(device):
        _limit(resource.RLIMIT_AS, limits.memory_bytes + IMPORTS_ALLOWANCE_BYTES)
    if limits.file_size_bytes is not None:
        _limit(resource.RLIMIT_FSIZE, limits.file_size_bytes)
    if limits.open_files is not None:
        _limit(resource.RLIMIT_NOFILE, limits.open_files)
    if limits.cpu_s is not None:
        # Its handler would run only once a library gives control back: the watchdog reports instead.
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        _limit(resource.RLIMIT_CPU, limits.cpu_s, grace=CPU_GRACE_S + len(os.sched_getaffinity(0)))


def _may_use_cuda(device: str) -> bool:
    return device.startswith("cuda") or (device == "auto" and Path("/dev/nvidiactl").exists())


def _limit(what: int, amount: int, grace: int = 0) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(what, (min(amount, hard), min(amount + grace, hard)))
    else:
        resource.setrlimit(what, (amount, amount + grace))
