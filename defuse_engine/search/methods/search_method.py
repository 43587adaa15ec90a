"""What a search method is: it proposes codes around seeds, and the search does the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int64

from defuse_engine.configs import MethodName
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import Codes


@dataclass(frozen=True)
class Proposals:
    """Candidates of some seeds; row i of both arrays is the same candidate."""

    codes: Codes
    seed_rows: Int64[np.ndarray, " n"]
    """Row of each candidate's seed."""
    tried: Int64[np.ndarray, " s"]
    """Candidates of each seed that were looked at. A method may leave out those that it knows to be
    classified as their seed's label; then these are more than the rows."""


@runtime_checkable
class SearchMethod(Protocol):
    """One way to make candidates."""

    name: MethodName
    memory_bytes: int
    """Memory that a call of `propose` takes, beside the candidates."""

    def propose(
        self, seeds: Seeds, takes_part: Bool[np.ndarray, " n"], rng: np.random.Generator
    ) -> Proposals:
        """Propose candidates of those seeds that take part.

        What is drawn from `rng` must not depend on which take part, so that two classifiers meet the same
        noise.
        """
        ...
