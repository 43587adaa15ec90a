"""Regions rated: how often the classifier is wrong there, and how much harm that does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from defuse_engine.intervals import wilson
from defuse_engine.regions.grouping import Region
from defuse_engine.regions.harm import Misread, harms
from defuse_engine.regions.sampled_regions import SampledRegion
from defuse_engine.types import Interval, Misclassifications, Regions


@dataclass(frozen=True)
class RatedRegion:
    """A region with fresh samples, the share of them that is misclassified, and its harm."""

    sampled: SampledRegion
    misclassification_rate: Interval
    """Share of fresh samples that are classified as anything but the seed label."""
    harm: Interval

    @property
    def region(self) -> Region:
        """The region itself."""
        return self.sampled.region


def rate(
    misread: Misread,
    sampled_regions: Sequence[SampledRegion],
    found: Misclassifications,
    others: Sequence[Int64[np.ndarray, " _"]] = (),
) -> list[RatedRegion]:
    """Rate regions, in their order.

    `others` are the members of further regions, which have their share of the misread inputs. If a region is
    a part of one of them, the other keeps the rest.
    """
    members = [*others, *(sampled.region.members for sampled in sampled_regions)]
    harm = harms(misread, found, members)[len(others) :]
    return [
        RatedRegion(sampled, wilson(int(sampled.wrong.sum()), len(sampled.wrong)), one)
        for sampled, one in zip(sampled_regions, harm, strict=True)
    ]


def as_arrays(regions: Sequence[Region], tau: float, latent_size: int) -> Regions:
    """Return what `regions.npz` holds of regions, in their order."""
    sizes = np.array([len(region.members) for region in regions], np.int64)
    empty = np.zeros(0, np.int64)
    return Regions(
        weights=np.array([region.weight for region in regions], np.float64),
        means=np.array([region.mean for region in regions], np.float64).reshape(-1, latent_size),
        covariances=tuple(region.covariance for region in regions),
        seed_labels=np.array([region.seed_label for region in regions], np.int32),
        predicted_classes=np.array([region.predicted_class for region in regions], np.int32),
        sizes=sizes,
        member_offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        members=np.concatenate([empty, *(region.members for region in regions)]),
        tau=tau,
    )
