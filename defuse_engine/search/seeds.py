"""Where a search starts: dataset items with their latent codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.inputs.dataset import Split
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Encoder
from defuse_engine.types import Codes, Labels

_OUTLYING = 100.0
_MOST = 0.99


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
    """Return mu of every image of a split, in its order.

    Raises MODEL_NOT_FINITE where one is NaN or infinite, and warns of a few that lie far from all others.
    """
    parts: list[np.ndarray] = []
    for chosen, images in split.batches(np.arange(len(split)), encoder.session.chunk_size):
        parts.append(encoder(images))
        reporter.progress("neighbourhood", int(chosen[-1]) + 1, len(split), "items")
    codes = np.concatenate(parts)
    bad = np.flatnonzero(~finite_items(codes))
    if len(bad):
        raise InvalidModel(
            Reason.MODEL_NOT_FINITE,
            f"the VAE's encoder answers NaN or infinite values for {len(bad)} of {len(codes)} items of a "
            f"split (the first: item {bad[0]}, whose pixels lie in [{split.images(bad[:1]).min():g}, "
            f"{split.images(bad[:1]).max():g}]): leave them out of the dataset, or export an encoder that "
            "encodes them",
            {"items_not_finite": len(bad), "items": len(codes), "first_item": int(bad[0])},
        )
    _warn_of_outlying(codes, reporter)
    return codes


def _warn_of_outlying(codes: Codes, reporter: Reporter) -> None:
    """A few codes far from all others make the spread that every step is measured by."""
    distances = np.linalg.norm((codes - np.median(codes, axis=0)).astype(np.float64), axis=1)
    outlying = np.flatnonzero(distances > _OUTLYING * np.quantile(distances, _MOST))
    if len(outlying):
        reporter.warning(
            "ITEMS_OUTLYING",
            f"the codes of {len(outlying)} of {len(codes)} items of a split lie more than {_OUTLYING:g} "
            f"times as far out as those of {_MOST:.0%} (the first: item {outlying[0]}): the search steps by "
            "the spread of all codes, and steps too far; look at these images, or leave them out",
        )
