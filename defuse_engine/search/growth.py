"""Growth: more candidates around believed misclassifications, so that a rare mistake becomes a region too."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from defuse_engine.search.seeds import smallest_per_seed
from defuse_engine.types import Codes, Misclassifications

PER_CODE = 18
"""Candidates around a code: a region takes ten that are believed, and not all are."""
CLOSER = 1 / 3
"""Noise of growth over that of the search: it looks at the same mistake, not for others."""


def grow(
    found: Misclassifications, scale: Float32[np.ndarray, " d"], rng: np.random.Generator
) -> tuple[Codes, Int64[np.ndarray, " n"]]:
    """Return codes around the likeliest bug of each seed and predicted class, with their rows of `found`."""
    if len(found) == 0:
        return np.zeros((0, len(scale)), np.float32), np.zeros(0, np.int64)
    keys = np.stack([found.seed_split, found.seed_index, found.predicted_class], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    parents = smallest_per_seed(group.ravel().astype(np.int64), -found.bug_probability, 1)
    rows = np.repeat(parents, PER_CODE)
    noise = rng.standard_normal((len(rows), len(scale)), np.float32) * (CLOSER * scale)
    return found.codes[rows] + noise, rows
