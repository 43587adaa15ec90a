"""What a misclassification, and a region, must reach to be believed; no more than the dataset can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.job_folder.reporting import Reporter

_REACH_SHARE = 0.75
"""Largest share of the log-odds within reach that is asked for."""
_LEAST_PROBABILITY = 0.5
"""What is more likely no bug is never believed."""
LEAST_READING = 0.5
"""Probability that the readers must give the seed label, over the typical one."""
_REGION_AGREEMENT = 0.85
"""Mean agreement that a region's samples must reach, over the typical one."""


@dataclass(frozen=True)
class Thresholds:
    """Least values of a belief; 0 asks for nothing."""

    probability: float = 0.0
    """Of being a bug."""
    agreement: float = 0.0
    """Share of the neighbours that bear the seed label."""
    reading: float = 0.0
    """Probability that the readers give the seed label. They must see what the seed shows, not just something
    else than the classifier does."""
    region_probability: float = 0.0
    """Mean over a region's misclassified samples. A region takes people's time, so it must leave at most half
    of the doubt that could still be removed."""
    region_agreement: float = 0.0
    """Mean over a region's samples."""


@dataclass(frozen=True)
class Typical:
    """What a dataset's latent space and readers can show, measured on validation items."""

    reach: float = 1.0
    """The largest probability of being a bug that a candidate of even odds can get."""
    agreement: float = 1.0
    """Median share of an item's neighbours that bear its own label, of items classified correctly."""
    reading: float = 1.0
    """Median probability that the readers give an item's own label, of items classified correctly."""


def set_thresholds(typical: Typical, config: AuditConfig, reporter: Reporter) -> Thresholds:
    """Return the config's thresholds, lowered with a warning (BELIEF_OUT_OF_REACH) if none can reach them.

    In a latent space that hardly tells classes apart, neighbours agree with no label. If classes are hard to
    tell apart, the readers are sure of none. So both thresholds are relative to what is typical.
    """
    reach = typical.reach
    within_reach = max(
        _LEAST_PROBABILITY, float(1.0 / (1.0 + np.exp(-_REACH_SHARE * np.log(reach / (1.0 - reach)))))
    )
    probability = min(config.belief_threshold, within_reach)
    if probability < config.belief_threshold:
        reporter.warning(
            "BELIEF_OUT_OF_REACH",
            f"misclassifications are believed from a bug probability of {probability:.3f} on, not of "
            f"{config.belief_threshold:g} (belief_threshold), because with this dataset even the surest ones "
            f"reach hardly more than {reach:.3f}. Add validation items, or use a VAE that tells the classes "
            "apart",
        )
    return Thresholds(
        probability=probability,
        agreement=config.agreement_threshold * typical.agreement,
        reading=LEAST_READING * typical.reading,
        region_probability=(probability + max(reach, probability)) / 2.0,
        region_agreement=_REGION_AGREEMENT * typical.agreement,
    )
