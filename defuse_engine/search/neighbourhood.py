"""What the dataset says about a place in latent space: whose labels live there."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32

from defuse_engine.inputs.dataset import Split
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Encoder
from defuse_engine.types import Codes, Labels

_DISTANCES_AT_ONCE = 1 << 24
"""64 MiB of float32 distances: bounds memory for any size of train split."""


class Neighbourhood:
    """The codes and labels of the train split; answers by brute force, on the device of the search."""

    def __init__(self, codes: Codes, labels: Labels, neighbours: int, device: str):
        self._device = device
        self._codes = torch.from_numpy(codes).to(device)
        self._square_norms = (self._codes**2).sum(dim=1)
        self._labels = torch.from_numpy(labels).to(device)
        self._neighbours = min(neighbours, len(codes))

    def agreement(self, codes: Codes, seed_labels: Labels) -> Float32[np.ndarray, " n"]:
        """Return, for each code, the share in [0, 1] of its nearest train codes with its seed's label.

        Distances are Euclidean. A train seed's own code counts, as any other train code does.
        """
        shares: list[np.ndarray] = []
        step = max(1, _DISTANCES_AT_ONCE // len(self._codes))
        for start in range(0, len(codes), step):
            some = torch.from_numpy(np.ascontiguousarray(codes[start : start + step])).to(self._device)
            wanted = torch.from_numpy(seed_labels[start : start + step]).to(self._device)
            nearest = self._nearest(some)
            shares.append((self._labels[nearest] == wanted[:, None]).float().mean(dim=1).cpu().numpy())
        return np.concatenate(shares) if shares else np.zeros(0, np.float32)

    def _nearest(self, codes: torch.Tensor) -> torch.Tensor:
        # |a - b|^2 without |a|^2, which is the same for all b.
        distances = torch.addmm(self._square_norms, codes, self._codes.T, alpha=-2.0)
        return distances.topk(self._neighbours, dim=1, largest=False, sorted=False).indices


def encode_split(encoder: Encoder, split: Split, reporter: Reporter) -> Codes:
    """Return mu of every image of a split, in its order."""
    indices = np.arange(len(split))
    # A quarter of a second of work between two progress lines, however many images there are.
    parts: list[np.ndarray] = []
    for chosen, images in split.batches(indices, 8 * encoder.session.batch_size):
        parts.append(encoder(images))
        reporter.progress("neighbourhood", int(chosen[-1]) + 1, len(split), "items")
    return np.concatenate(parts)
