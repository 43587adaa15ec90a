"""The memory and the load of the machine's NVIDIA GPUs, as its driver tells them."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import pynvml
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True)
class Gpu:
    """One GPU, whoever uses it."""

    index: int
    """Its number among the machine's GPUs, whatever CUDA_VISIBLE_DEVICES says."""
    used_bytes: int
    total_bytes: int
    busy_ratio: float | None
    """Share of the driver's last sampling period in which it computed, in [0, 1]; None if it can't tell."""


def read_gpus() -> list[Gpu]:
    """Return the machine's GPUs; none without NVIDIA's driver, or while it fails."""
    try:
        _load_driver()
        return [_read(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


@functools.cache
def _load_driver() -> None:
    """Load the driver's library once. An error is not cached: the next call tries again."""
    pynvml.nvmlInit()


def _read(index: int) -> Gpu:
    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(device)
    try:
        busy_ratio = float(pynvml.nvmlDeviceGetUtilizationRates(device).gpu) / 100
    except pynvml.NVMLError:
        # A GPU that is parted (MIG) doesn't tell it.
        busy_ratio = None
    return Gpu(index, int(memory.used), int(memory.total), busy_ratio)


class GpuCollector(Collector):
    """Reads the GPUs at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges. Without a GPU they have no values."""
        used = GaugeMetricFamily(
            "defuse_device_memory_used_bytes", "Memory in use of a GPU.", labels=["device"]
        )
        size = GaugeMetricFamily("defuse_device_memory_bytes", "Memory of a GPU.", labels=["device"])
        busy = GaugeMetricFamily(
            "defuse_device_busy_ratio",
            "Share of the time in which a GPU computed, 0 to 1.",
            labels=["device"],
        )
        for gpu in read_gpus():
            device = [str(gpu.index)]
            used.add_metric(device, gpu.used_bytes)
            size.add_metric(device, gpu.total_bytes)
            if gpu.busy_ratio is not None:
                busy.add_metric(device, gpu.busy_ratio)
        yield from (used, size, busy)
