"""The neighbours of a place in latent space: the labels of the nearest train codes."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Int64

from defuse_engine.types import Codes, Labels

_DISTANCES_AT_ONCE = 1 << 20
"""4 MiB of float32 distances, which fit into the processor's caches for any size of train split."""


class Neighbours:
    """The codes and labels of the train split, searched exactly, on the device of the search."""

    def __init__(self, codes: Codes, labels: Labels, neighbours: int, device: str):
        """Find the `neighbours` nearest codes, or as many as there are."""
        self.count = min(neighbours, len(codes))
        self._device = device
        self._labels = torch.from_numpy(labels).to(device)
        # Columns of blocks: the k nearest codes lie in the k blocks whose nearest codes are nearest. A search
        # of the blocks' minima, then of k blocks, finds what sorting all distances would, several times as
        # fast. A block's codes lie a row apart, because vector units compute minima of whole rows well.
        self._width = max(1, math.isqrt(len(codes) // max(1, self.count)))
        padding = -len(codes) % self._width
        # Around their mean: far from the origin float32 would not tell near codes apart.
        self._centre = codes.mean(axis=0, dtype=np.float64).astype(np.float32)
        points = torch.from_numpy(codes - self._centre)
        squares = torch.cat([(points**2).sum(dim=1), torch.full((padding,), torch.inf)])
        points = torch.cat([points, points.new_zeros(padding, points.shape[1])])
        # (d + 1, n): a product with (a, 1) gives |a - b|^2 without |a|^2, which is the same for all b.
        self._factors = torch.cat([-2.0 * points, squares[:, None]], dim=1).T.contiguous().to(device)

    def labels_near(self, codes: Codes) -> Int64[np.ndarray, "n k"]:
        """Return the labels of the train codes nearest to each code by Euclidean distance, in no order."""
        step = max(1, _DISTANCES_AT_ONCE // self._factors.shape[1])
        parts = [self._near(codes[start : start + step]) for start in range(0, len(codes), step)]
        return np.concatenate(parts) if parts else np.zeros((0, self.count), np.int64)

    def _near(self, codes: Codes) -> Int64[np.ndarray, "n k"]:
        some = torch.from_numpy(codes - self._centre).to(self._device)
        distances = torch.cat([some, some.new_ones(len(some), 1)], dim=1) @ self._factors
        blocks = distances.view(len(some), self._width, -1)
        wanted = min(self.count, blocks.shape[2])
        nearest = blocks.amin(dim=1).topk(wanted, dim=1, largest=False, sorted=False).indices
        inside = blocks.gather(2, nearest[:, None, :].expand(-1, self._width, -1)).flatten(1)
        positions = inside.topk(self.count, dim=1, largest=False, sorted=False).indices
        block = nearest.gather(1, positions % wanted)
        return self._labels[positions // wanted * blocks.shape[2] + block].cpu().numpy()


def neighbours_for(asked: int, items: int, classes: int) -> int:
    """Return how many neighbours to ask: at most a tenth of an average class, but at least 5.

    With more, a small dataset would be asked about places that have little to do with a code.
    """
    return min(asked, max(5, items // (10 * classes)))
