"""Narrow regions around the likeliest bugs of a confusion that no region shows.

A component of the mixture takes ten codes, and lies between them. The few codes of a rare confusion lie far
apart, and what is between them shows something else. Right around one of them the mistake may be clear.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np
from jaxtyping import Float32, Int64

from defuse_engine.covariance import diagonal
from defuse_engine.regions.grouping import Region, by_pair
from defuse_engine.regions.sampled_regions import SampledRegion
from defuse_engine.types import Misclassifications

Confusion = tuple[int, int]
"""Seed label and predicted class."""

_TRIED = 10
"""Most regions of one confusion that are tried."""
_SHOWN = 2
"""Most of them that are shown. Fewer are bugs than of other regions, and one makes a confusion known."""
_NEAR = 2.0
"""Codes belong to a region up to this many times the typical distance of its samples (at tau 1)."""


def narrow_regions(
    found: Misclassifications, shown: Collection[Confusion], noise: Float32[np.ndarray, " d"]
) -> list[Region]:
    """Return regions around the likeliest bugs of each confusion that is not among those `shown`.

    `noise` is the standard deviation of a region in each coordinate.
    """
    covariance = diagonal(noise)
    return [
        Region(
            weight=len(members) / len(found),
            mean=found.codes[members[0]].astype(np.float64),
            covariance=covariance,
            seed_label=seed_label,
            predicted_class=predicted_class,
            members=members,
        )
        for seed_label, predicted_class, rows in by_pair(found, least_codes=1)
        if (seed_label, predicted_class) not in shown
        for members in _around_likeliest(found, rows, noise)
    ]


def likeliest(sampled_regions: Iterable[SampledRegion]) -> list[SampledRegion]:
    """Return the two regions of each confusion whose samples are the likeliest bugs."""
    ranked: dict[Confusion, list[SampledRegion]] = {}
    for sampled in sorted(sampled_regions, key=lambda one: -one.mean_bug_probability):
        region = sampled.region
        ranked.setdefault((region.seed_label, region.predicted_class), []).append(sampled)
    return [sampled for some in ranked.values() for sampled in some[:_SHOWN]]


def _around_likeliest(
    found: Misclassifications, rows: Int64[np.ndarray, " n"], noise: Float32[np.ndarray, " d"]
) -> Iterator[Int64[np.ndarray, " m"]]:
    """Give the rows around the likeliest bug, which comes first, then around the likeliest of the rest."""
    rows = rows[np.argsort(-found.bug_probability[rows], kind="stable")]
    for _ in range(_TRIED):
        if len(rows) == 0:
            return
        offsets = found.codes[rows] - found.codes[rows[0]]
        # A coordinate without noise never varies.
        distances = np.divide(offsets, noise, out=np.zeros_like(offsets), where=noise > 0)
        near = (distances**2).mean(axis=1) <= _NEAR**2
        yield rows[near]
        rows = rows[~near]
