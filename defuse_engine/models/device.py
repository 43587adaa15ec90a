"""The device that the work runs on. A missing device is an error, never a slow success elsewhere."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import onnxruntime as ort
import torch

from defuse_engine.errors import DeviceUnavailable, JobInvalid

CUDA_PROVIDER = "CUDAExecutionProvider"
_PIECES_BYTES = 2 << 30
"""Memory that all pieces of work that run at once may take."""


@dataclass(frozen=True)
class Runtime:
    """An available device, and how the work on it is divided."""

    device: str = "cpu"
    """`cpu` or `cuda:N`."""
    threads: int = 1
    batch_size: int = 256

    @property
    def is_cuda(self) -> bool:
        """Whether the work runs on a CUDA device."""
        return self.device != "cpu"

    def at_once(self, piece_bytes: int = 0) -> int:
        """Return how many pieces of work of this size run side by side: one a core, or one on a GPU."""
        affordable = _PIECES_BYTES // max(1, piece_bytes)
        return 1 if self.is_cuda else max(1, min(self.threads, affordable))

    @property
    def index(self) -> int:
        """Number of the CUDA device; 0 on the CPU."""
        return int(self.device.partition(":")[2] or 0)


def open_runtime(device: str, threads: int, batch_size: int) -> Runtime:
    """Resolve `auto`, `cpu` or `cuda:N`, and set torch's thread count; 0 threads means all cores.

    Raises DEVICE_UNAVAILABLE if a CUDA device is asked for and is not there.
    """
    threads = threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    return Runtime(_resolve(device), threads, batch_size)


def computes_in_bfloat16(device: str) -> bool:
    """Whether the processor has instructions for bfloat16, which are then faster.

    This is for work that needs a direction more than digits: ascents, and the training of small classifiers.
    """
    return device == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def _resolve(device: str) -> str:
    if device == "cpu":
        return device
    if device == "auto":
        return "cpu" if _why_not(0) else "cuda:0"
    match = re.fullmatch(r"cuda:(\d{1,3})", device)
    if match is None:
        raise JobInvalid(f"device must be auto, cpu or cuda:N, got {device!r}")
    why_not = _why_not(int(match[1]))
    if why_not:
        raise DeviceUnavailable(
            f"device {device} was asked for, but {why_not}; ask for cpu, or for auto to take what is there",
            {"device": device, "providers": ", ".join(ort.get_available_providers())},
        )
    return device


def _why_not(index: int) -> str | None:
    """Return why CUDA device `index` cannot be used; None if it can."""
    providers = ort.get_available_providers()
    if CUDA_PROVIDER not in providers:
        return f"onnxruntime has no {CUDA_PROVIDER} (it has {', '.join(providers)})"
    if not torch.cuda.is_available():
        return (
            f"torch {torch.__version__} sees no CUDA device (onnxruntime's build offers "
            f"{', '.join(providers)}, of which those for GPUs need one)"
        )
    if index >= torch.cuda.device_count():
        return f"there are {torch.cuda.device_count()} CUDA devices, numbered from 0"
    # The CUDA libraries come with torch's wheels; onnxruntime does not find them by itself.
    ort.preload_dlls()
    return None
