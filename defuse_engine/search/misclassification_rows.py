"""Misclassifications as rows of arrays: joined, selected, bounded for each seed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

from defuse_engine.types import Misclassifications


def select(found: Misclassifications, rows: np.ndarray) -> Misclassifications:
    """Return the chosen rows of every array."""
    return Misclassifications(**{name: values[rows] for name, values in vars(found).items()})


def concatenate(parts: list[Misclassifications]) -> Misclassifications:
    """Join at least one part, row after row."""
    return Misclassifications(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    )


def smallest_per_seed(
    seed_rows: Int64[np.ndarray, " n"], values: Float[np.ndarray, " n"], most: int
) -> Int64[np.ndarray, " m"]:
    """Return the positions, in order, of the `most` smallest values of each seed; ties go to the first."""
    order = np.lexsort((values, seed_rows))
    ordered = seed_rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else np.zeros(0, np.int64)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[rank < most])
