"""How a correction goes, apart from its numbers: what each preset does in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from defuse_engine.configs import AuditConfig
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.fine_tuning import PAPER_SGD, RELATIVE_ADAM, Optimization
from defuse_engine.correction.labeled_regions import LabeledRegions, LabeledSamples
from defuse_engine.correction.mining import Miner
from defuse_engine.correction.surroundings import draw_surroundings, no_surroundings, vouched_seeds
from defuse_engine.run import Run
from defuse_engine.search.calibrated_belief import calibrated_belief
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import Misclassifications


@dataclass(frozen=True)
class Supplement:
    """What a correction trains on beside its regions."""

    surroundings: LabeledSamples
    miner: Miner | None
    """Finds what later stages train on. None: the sweep tries the lambdas alone."""


@dataclass(frozen=True)
class CorrectionRecipe:
    """The steps of a correction that a preset chooses."""

    optimization: Optimization
    taus: tuple[float, ...]
    """Times the config's tau, in turns."""
    supplement: Callable[[Run, LabeledRegions, Seeds, AuditConfig, Misclassifications | None], Supplement]
    """From the audit's seeds, its config, and what it found, if that was given."""


def _surroundings_and_mining(
    run: Run, labeled: LabeledRegions, seeds: Seeds, audit: AuditConfig, known: Misclassifications | None
) -> Supplement:
    seeds, disputed = vouched_seeds(labeled, seeds), DisputedRegions(labeled)
    belief_model = calibrated_belief(run, AuditConfig())
    rng = run.generator("correct/surroundings")
    return Supplement(
        draw_surroundings(run.inputs, seeds, disputed, belief_model.readers, rng),
        Miner(run, seeds, disputed, belief_model, audit, known),
    )


DEFAULT = CorrectionRecipe(RELATIVE_ADAM, (0.3, 1.0, 3.0), _surroundings_and_mining)
"""The taus show the heart of a region, the region, and its surroundings."""
PAPER = CorrectionRecipe(
    PAPER_SGD,
    (1.0,),
    lambda run, labeled, seeds, audit, known: Supplement(no_surroundings(run.inputs.dataset.train), None),
)
