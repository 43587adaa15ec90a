"""Small random steps around a seed, in every direction."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from defuse_engine.configs import MethodName
from defuse_engine.search.methods.search_method import Proposals
from defuse_engine.search.seeds import Seeds


class NeighbourhoodNoise:
    """Each coordinate of delta ~ N(0, scale^2)."""

    name: MethodName = "neighbourhood"
    memory_bytes = 0

    def __init__(self, candidates: int, scale: Float32[np.ndarray, " d"]):
        """Propose `candidates` codes for each seed; `scale` is the noise of each latent coordinate."""
        self._candidates = candidates
        self._scale = scale

    def propose(
        self, seeds: Seeds, takes_part: Bool[np.ndarray, " n"], rng: np.random.Generator
    ) -> Proposals:
        """Add noise to the codes of seeds."""
        deltas = rng.standard_normal((len(seeds), self._candidates, len(self._scale)), np.float32)
        deltas *= self._scale
        codes = (seeds.codes[:, None, :] + deltas)[takes_part]
        rows = np.repeat(np.flatnonzero(takes_part), self._candidates)
        return Proposals(codes.reshape(-1, len(self._scale)), rows, takes_part * self._candidates)
