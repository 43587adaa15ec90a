"""Where a search starts: dataset items with their latent codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from defuse_engine.inputs.dataset import Split
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Encoder
from defuse_engine.types import Codes, Labels


@dataclass(frozen=True)
class Seeds:
    """Dataset items that a search starts from; row i of every array is the same item."""

    codes: Codes
    """mu(x)."""
    index: Labels
    """Index into the split."""
    split: UInt8[np.ndarray, " n"]
    """0 train, 1 validation, 2 test."""
    labels: Labels

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice | np.ndarray) -> Seeds:
        return Seeds(self.codes[rows], self.index[rows], self.split[rows], self.labels[rows])


def choose_seeds(split: Split, split_number: int, codes: Codes, most: int, rng: np.random.Generator) -> Seeds:
    """Choose at most `most` items of a split (0: all) as seeds, in a random order; `codes` are its mu.

    The order is random so that a search that stops early has seen a fair sample, not the first items.
    """
    count = min(most, len(split)) if most > 0 else len(split)
    index = rng.permutation(len(split))[:count].astype(np.int64)
    return Seeds(codes[index], index, np.full(len(index), split_number, np.uint8), split.labels[index])


def encode_split(encoder: Encoder, split: Split, reporter: Reporter) -> Codes:
    """Return mu of every image of a split, in its order."""
    # A quarter of a second of work between two progress lines, however many images there are.
    parts: list[np.ndarray] = []
    for chosen, images in split.batches(np.arange(len(split)), 8 * encoder.session.batch_size):
        parts.append(encoder(images))
        reporter.progress("neighbourhood", int(chosen[-1]) + 1, len(split), "items")
    return np.concatenate(parts)
