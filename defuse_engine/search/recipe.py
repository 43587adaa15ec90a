"""How a search goes, apart from its numbers: what each preset does in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from defuse_engine.configs import AuditConfig
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.run import Run
from defuse_engine.search.belief import BeliefModel, BelieveEverything
from defuse_engine.search.calibrated_belief import calibrated_belief
from defuse_engine.search.classify_codes import reads
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import Misclassifications


@dataclass(frozen=True)
class SearchRecipe:
    """The steps of a search that a preset chooses."""

    open_belief_model: Callable[[Run, AuditConfig], BeliefModel]
    starts_from: Callable[[Classifier, Decoder, Seeds], Bool[np.ndarray, " n"]]
    """Which seeds take part."""
    rank: Callable[[Misclassifications], Float32[np.ndarray, " n"]]
    """Of a seed's misclassifications, those with the smallest values are kept."""
    grows: bool
    """Whether misclassifications that are believed get company (`growth`)."""


DEFAULT = SearchRecipe(
    open_belief_model=calibrated_belief,
    starts_from=reads,
    rank=lambda found: -found.bug_probability,
    grows=True,
)
PAPER = SearchRecipe(
    open_belief_model=lambda run, config: BelieveEverything(),
    starts_from=lambda classifier, decoder, seeds: np.ones(len(seeds), bool),
    rank=lambda found: found.delta_norm,
    grows=False,
)
"""Slack, Rauschmayr, Kenthapadi, arXiv 2102.06162 (2021), section 3."""
