"""Seeds: the dataset items, with their latent codes, that a search starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from defuse_engine.configs import AuditConfig
from defuse_engine.inputs.dataset import Split
from defuse_engine.random_streams import numpy_generator
from defuse_engine.run import Run
from defuse_engine.types import TRAIN, Codes, Labels, Rows


@dataclass(frozen=True)
class Seeds(Rows):
    """Dataset items that a search starts from; row i of every array is the same item."""

    codes: Codes
    """mu(x)."""
    index: Labels
    """Index into the split."""
    split: UInt8[np.ndarray, " n"]
    """0 train, 1 validation, 2 test."""
    labels: Labels


def smallest_per_seed(
    seed_rows: Int64[np.ndarray, " n"], values: Float[np.ndarray, " n"], most: int
) -> Int64[np.ndarray, " m"]:
    """Return the positions, in order, of the `most` smallest values of each seed; ties go to the first."""
    order = np.lexsort((values, seed_rows))
    ordered = seed_rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else np.zeros(0, np.int64)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[rank < most])


def choose_seeds(split: Split, split_number: int, codes: Codes, most: int, rng: np.random.Generator) -> Seeds:
    """Choose at most `most` items of a split (0: all) as seeds; `codes` are the split's mu.

    Their order is random. A search that stops early has then seen a fair sample, not the first items.
    """
    count = min(most, len(split)) if most > 0 else len(split)
    index = rng.permutation(len(split))[:count].astype(np.int64)
    return Seeds(codes[index], index, np.full(len(index), split_number, np.uint8), split.labels[index])


def first_search_seeds(run: Run, config: AuditConfig, random_seed: int) -> Seeds:
    """Return the seeds of an audit: the same for the same config and random seed."""
    rng = numpy_generator(random_seed, "seeds")
    return choose_seeds(run.inputs.dataset.train, TRAIN, run.train_codes, config.max_seeds, rng)
