"""Regions rated: how often the classifier is wrong there, and how much harm that does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from defuse_engine.intervals import wilson
from defuse_engine.regions.grouping import Region
from defuse_engine.regions.harm import aggregate_posterior, expected_harm
from defuse_engine.regions.sampled_regions import SampledRegion
from defuse_engine.run import Run
from defuse_engine.types import Interval, Regions


@dataclass(frozen=True)
class RatedRegion:
    """A region with fresh samples, the share of them that is misclassified, and the expected harm."""

    sampled: SampledRegion
    misclassification_rate: Interval
    """Share of fresh samples that are classified as anything but the seed label."""
    harm: Interval

    @property
    def region(self) -> Region:
        """The region itself."""
        return self.sampled.region


def rate(
    run: Run, sampled_regions: Sequence[SampledRegion], on_rated: Callable[[int], None]
) -> list[RatedRegion]:
    """Rate regions, in their order; `on_rated(count)` gets the number done."""
    rng = run.generator("distill/aggregate-posterior")
    production = aggregate_posterior(run.inputs.encoder, run.inputs.dataset.train, rng)
    rated: list[RatedRegion] = []
    for sampled in sampled_regions:
        wrong = wilson(int(sampled.wrong.sum()), len(sampled.wrong))
        harm = expected_harm(sampled.region, wrong, production, run.device)
        rated.append(RatedRegion(sampled, wrong, harm))
        on_rated(len(rated))
    return rated


def as_arrays(rated: list[RatedRegion], tau: float, latent_size: int) -> Regions:
    """Return the arrays of `regions.npz`, in the order of the list."""
    regions = [one.region for one in rated]
    sizes = np.array([len(region.members) for region in regions], np.int64)
    empty = np.zeros(0, np.int64)
    return Regions(
        weights=np.array([region.weight for region in regions], np.float64),
        means=np.array([region.mean for region in regions], np.float64).reshape(-1, latent_size),
        covariances=np.array([region.covariance for region in regions], np.float64).reshape(
            -1, latent_size, latent_size
        ),
        seed_labels=np.array([region.seed_label for region in regions], np.int32),
        predicted_classes=np.array([region.predicted_class for region in regions], np.int32),
        sizes=sizes,
        member_offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        members=np.concatenate([empty, *(region.members for region in regions)]),
        tau=tau,
    )
