"""Random steps from a seed: small ones in every direction, or those of the published search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from defuse_engine.configs import PAPER_CONCENTRATION, MethodName
from defuse_engine.search.methods.search_method import Proposals
from defuse_engine.search.seeds import Seeds


@dataclass
class RandomSteps:
    """Proposes codes at steps that depend on nothing but chance."""

    name: MethodName
    candidates: int
    """Around each seed."""
    draw: Callable[[np.random.Generator, tuple[int, int, int]], Float32[np.ndarray, "n c d"]]
    """Steps of a shape (seeds, candidates, D)."""
    memory_bytes = 0

    def propose(
        self, seeds: Seeds, takes_part: Bool[np.ndarray, " n"], rng: np.random.Generator
    ) -> Proposals:
        """Add steps to the codes of seeds."""
        size = seeds.codes.shape[1]
        steps = self.draw(rng, (len(seeds), self.candidates, size))
        codes = (seeds.codes[:, None, :] + steps)[takes_part]
        rows = np.repeat(np.flatnonzero(takes_part), self.candidates)
        return Proposals(codes.reshape(-1, size), rows, takes_part * self.candidates)


def neighbourhood_noise(candidates: int, scale: Float32[np.ndarray, " d"]) -> RandomSteps:
    """Return steps of N(0, scale^2) in each latent coordinate."""
    return RandomSteps(
        "neighbourhood", candidates, lambda rng, shape: scale * rng.standard_normal(shape, np.float32)
    )


def paper_noise(candidates: int) -> RandomSteps:
    """Return uncentred steps of Beta(50, 50), with mean 0.5 (Slack et al., arXiv 2102.06162, section 4)."""
    a = b = PAPER_CONCENTRATION
    return RandomSteps("paper", candidates, lambda rng, shape: rng.beta(a, b, shape).astype(np.float32))
