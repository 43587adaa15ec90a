"""The independent readers of reconstructions: none of them takes part in the loss."""

from __future__ import annotations

import math

import numpy as np

from defuse_engine.inputs.dataset import Dataset, Split
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.device import Runtime
from defuse_engine.readers.independent_readers import IndependentReaders

_LEAST_SAMPLE = 64


def independent_readers(
    dataset: Dataset, runtime: Runtime, random_seed: int, reporter: Reporter
) -> IndependentReaders:
    """Return readers that take no part in the loss; others than those of an audit with the same seed."""
    return IndependentReaders(
        dataset,
        runtime,
        random_seed,
        lambda done, total: reporter.progress("preflight", done, total, "steps"),
        stage="vae-held-out",
    )


def sample(split: Split, most: int, most_bytes: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of at most `most` items, whose images take up to `most_bytes` as float32."""
    affordable = max(_LEAST_SAMPLE, most_bytes // (4 * math.prod(split.pixels.shape[1:])))
    return np.sort(rng.permutation(len(split))[: min(most, affordable)])
