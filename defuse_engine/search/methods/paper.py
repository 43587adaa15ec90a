"""The published search: uncentred Beta noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from defuse_engine.configs import PAPER_CONCENTRATION, MethodName
from defuse_engine.search.methods.search_method import Proposals
from defuse_engine.search.seeds import Seeds


class PaperNoise:
    """Each coordinate of delta ~ Beta(50, 50), with mean 0.5 (Slack et al., arXiv 2102.06162, section 4)."""

    name: MethodName = "paper"
    memory_bytes = 0

    def __init__(self, candidates: int):
        """Propose `candidates` codes for each seed."""
        self._candidates = candidates

    def propose(
        self, seeds: Seeds, takes_part: Bool[np.ndarray, " n"], rng: np.random.Generator
    ) -> Proposals:
        """Add noise to the codes of seeds."""
        shape = (len(seeds), self._candidates, seeds.codes.shape[1])
        deltas = rng.beta(PAPER_CONCENTRATION, PAPER_CONCENTRATION, shape).astype(np.float32)
        codes = (seeds.codes[:, None, :] + deltas)[takes_part]
        rows = np.repeat(np.flatnonzero(takes_part), self._candidates)
        return Proposals(codes.reshape(-1, shape[2]), rows, takes_part * self._candidates)
