"""What a misclassification, and a region, must reach to be believed; no more than the dataset can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.search.belief import Judge

_REACH_SHARE = 0.75
"""Share of the log-odds within the judge's reach that is asked for at most."""
_LEAST_PROBABILITY = 0.5
"""What is likelier no bug is never believed."""
_LEAST_READING = 0.5
"""Probability of the seed label that the witness must give, over the typical one."""
_REGION_AGREEMENT = 0.85
"""Mean agreement that a region's samples must reach, over the typical one."""


@dataclass(frozen=True)
class Thresholds:
    """Least probability of being a bug, least agreement with the seed label, and how far it must be read."""

    probability: float
    agreement: float
    reading: float
    """Least probability that the witness gives the seed label: it must see what the seed shows, not just
    something else than the classifier does."""
    region_probability: float
    """Mean over a region's misclassified samples: a region takes people's time, and must leave half of the
    doubt that could still be removed."""
    region_agreement: float


def set_thresholds(judge: Judge, config: AuditConfig, reporter: Reporter) -> Thresholds:
    """The config's thresholds, lowered (BELIEF_OUT_OF_REACH) where no evidence here can reach them.

    Neighbours in a latent space that hardly tells classes apart agree with nobody, and where classes are hard
    to tell the witness is sure of none: both count over what is typical of validation items and their own
    label.
    """
    reach = judge.reach
    within_reach = max(
        _LEAST_PROBABILITY, float(1.0 / (1.0 + np.exp(-_REACH_SHARE * np.log(reach / (1.0 - reach)))))
    )
    probability = min(config.belief_threshold, within_reach)
    if probability < config.belief_threshold:
        reporter.warning(
            "BELIEF_OUT_OF_REACH",
            f"belief_threshold is {config.belief_threshold:g}, but the dataset's codes and the classifier's "
            f"confidence make no misclassification likelier a bug than {reach:.3f}: those above "
            f"{probability:.3f} are believed; more validation data, or a VAE that tells the classes apart, "
            "gives better evidence",
        )
    return Thresholds(
        probability=probability,
        agreement=config.agreement_threshold * judge.typical_agreement,
        reading=_LEAST_READING * judge.typical_reading,
        region_probability=(probability + max(reach, probability)) / 2.0,
        region_agreement=_REGION_AGREEMENT * judge.typical_agreement,
    )
