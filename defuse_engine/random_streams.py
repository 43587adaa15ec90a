"""Random streams named by (random seed, stage, shard): a shard computed twice draws the same numbers."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def stream_random_seed(random_seed: int, stage: str, shard: int = 0) -> int:
    """Return the 63-bit random seed of a stream; unlike `hash`, the same in every process and version."""
    digest = hashlib.sha256(f"{random_seed}/{stage}/{shard}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(random_seed: int, stage: str, shard: int = 0) -> np.random.Generator:
    """Return the stream for numpy. SFC64 is numpy's fastest generator, and noise is drawn in bulk."""
    return np.random.Generator(np.random.SFC64(stream_random_seed(random_seed, stage, shard)))


def torch_generator(random_seed: int, stage: str, shard: int = 0) -> torch.Generator:
    """Return the stream for torch, on the CPU: the numbers do not depend on the device."""
    return torch.Generator().manual_seed(stream_random_seed(random_seed, stage, shard))
