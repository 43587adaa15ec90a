"""Disputed regions, in which people saw something else than the label of the seeds.

A correction makes samples of its own: steps from seeds, and misclassifications mined around them. They bear
the label of their seed. In a disputed region that label is wrong, and would be learned against what people
said.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from defuse_engine.correction.labeled_regions import LabeledRegions
from defuse_engine.types import Codes, Labels


class DisputedRegions:
    """The labeled regions whose label differs from that of their seeds."""

    def __init__(self, labeled: LabeledRegions):
        """Choose them among all labeled regions."""
        regions = labeled.regions
        rows = [label.region for label in labeled.labels if not labeled.bears_seed_label(label)]
        self._means, self._seed_labels = regions.means[rows], regions.seed_labels[rows]
        self._covariances = [regions.covariances[row] for row in rows]
        self._reach = float(regions.means.shape[1])

    def hold(self, codes: Codes, seed_labels: Labels) -> Bool[np.ndarray, " n"]:
        """Tell which codes (n, D) lie in one of them, and come from seeds of its label.

        A code lies inside if it is no farther from the mean than the region's own codes are on average: a
        squared Mahalanobis distance of at most D.
        """
        held = np.zeros(len(codes), bool)
        for mean, covariance, label in zip(self._means, self._covariances, self._seed_labels, strict=True):
            rows = np.flatnonzero(seed_labels == int(label))
            held[rows] |= covariance.reaches(codes[rows] - mean, self._reach)
        return held
