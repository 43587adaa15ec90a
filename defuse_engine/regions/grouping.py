"""Misclassified codes grouped into regions: codes that lie together and show the same mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from defuse_engine.configs import LEAST_CODES, AuditConfig
from defuse_engine.covariance import Covariance
from defuse_engine.regions.mixture import Mixture, fit_mixture
from defuse_engine.types import Codes, Misclassifications

_PAPER_LEAST_WEIGHT = 0.01
"""Components up to this weight are dropped (the paper's section 3.2)."""
_MAX_FITTED = 20_000
"""Most codes that mixtures are fitted to. Time grows with their number, the regions hardly change."""


@dataclass(frozen=True)
class Region:
    """A component of a mixture: where it lies, which misclassifications belong to it, and what they show."""

    weight: float
    """Share of all misclassified codes; by `group_all`, the component's weight in the mixture."""
    mean: Float64[np.ndarray, " d"]
    covariance: Covariance
    seed_label: int
    """The members' majority."""
    predicted_class: int
    """The members' majority."""
    members: Int64[np.ndarray, " m"]
    """Row numbers among all misclassifications."""


@dataclass(frozen=True)
class Grouping:
    """All regions of an audit, and how many of its mixtures reached their convergence threshold."""

    regions: tuple[Region, ...]
    mixtures: int
    converged: int


Group = Callable[[Misclassifications, AuditConfig, int, Callable[[int, int], None], str], Grouping]
"""A way to group: misclassifications, config, random state, `on_progress(done, total)`, device."""


def group_by_pair(
    found: Misclassifications,
    config: AuditConfig,
    random_state: int,
    on_progress: Callable[[int, int], None],
    device: str = "cpu",
) -> Grouping:
    """Fit one small mixture to each pair of seed label and predicted class.

    A mixture that sees codes alone mixes different mistakes in one region, and then no one label fits it.
    `on_progress(done, total)` counts mixtures.
    """
    pairs = list(by_pair(found, LEAST_CODES))
    regions: list[Region] = []
    converged = 0
    for done, (seed_label, predicted_class, rows) in enumerate(pairs):
        on_progress(done, len(pairs))
        mixture = fit_mixture(
            found.codes[rows],
            max_components=min(config.max_components, len(rows) // LEAST_CODES),
            max_fitted=max(LEAST_CODES, _MAX_FITTED * len(rows) // len(found)),
            random_state=random_state % 2**32,
            device=device,
        )
        converged += mixture.converged
        for component, members in _components(mixture):
            if len(members) >= LEAST_CODES:
                regions.append(
                    Region(
                        weight=len(members) / len(found),
                        mean=mixture.means[component],
                        covariance=mixture.covariances[component],
                        seed_label=seed_label,
                        predicted_class=predicted_class,
                        members=rows[members],
                    )
                )
    return Grouping(tuple(regions), len(pairs), converged)


def group_all(
    found: Misclassifications,
    config: AuditConfig,
    random_state: int,
    on_progress: Callable[[int, int], None],
    device: str = "cpu",
) -> Grouping:
    """Fit one mixture to all codes, as the paper does (section 3.2).

    `on_progress(done, total)` counts the mixture's iterations.
    """
    if len(found) < LEAST_CODES:
        return Grouping((), 0, 0)
    mixture = fit_mixture(
        found.codes, config.max_components, _MAX_FITTED, random_state % 2**32, on_progress, device
    )
    regions = [
        Region(
            weight=float(mixture.weights[component]),
            mean=mixture.means[component],
            covariance=mixture.covariances[component],
            seed_label=_majority(found.seed_label[members]),
            predicted_class=_majority(found.predicted_class[members]),
            members=members,
        )
        for component, members in _components(mixture)
        if mixture.weights[component] > _PAPER_LEAST_WEIGHT
    ]
    return Grouping(tuple(regions), 1, int(mixture.converged))


def halves(
    region: Region, codes: Codes, random_state: int, device: str, least_codes: int = LEAST_CODES
) -> list[Region]:
    """Split a region's members by a mixture of two components; halves with too few codes are left out."""
    if len(region.members) < 2 * least_codes:
        return []
    mixture = fit_mixture(codes[region.members], 2, _MAX_FITTED, random_state % 2**32, device=device)
    parts = [
        (component, members) for component, members in _components(mixture) if len(members) >= least_codes
    ]
    return [
        replace(
            region,
            weight=region.weight * len(members) / len(region.members),
            mean=mixture.means[component],
            covariance=mixture.covariances[component],
            members=region.members[members],
        )
        for component, members in parts
        if len(members) < len(region.members)
    ]


def cut(region: Region, codes: Codes, random_state: int, device: str) -> list[Region]:
    """Split a region's members, at least four, into two equal parts, across their longest axis.

    This is for a region that no mixture takes apart.
    """
    points = codes[region.members].astype(np.float64)
    longest = np.linalg.eigh(np.atleast_2d(np.cov(points.T)))[1][:, -1]
    parts: list[Region] = []
    for rows in np.array_split(np.argsort(points @ longest, kind="stable"), 2):
        members = np.sort(region.members[rows])
        mixture = fit_mixture(codes[members], 1, _MAX_FITTED, random_state % 2**32, device=device)
        parts.append(
            replace(
                region,
                weight=region.weight * len(members) / len(region.members),
                mean=mixture.means[0],
                covariance=mixture.covariances[0],
                members=members,
            )
        )
    return parts


def with_majorities(region: Region, found: Misclassifications) -> Region:
    """Return the region with the seed label and the predicted class that most of its members have."""
    return replace(
        region,
        seed_label=_majority(found.seed_label[region.members]),
        predicted_class=_majority(found.predicted_class[region.members]),
    )


def by_pair(
    found: Misclassifications, least_codes: int
) -> Iterator[tuple[int, int, Int64[np.ndarray, " m"]]]:
    """Give each pair of seed label and predicted class with at least `least_codes` codes, and its rows."""
    pairs, inverse = np.unique(
        np.stack([found.seed_label, found.predicted_class], axis=1), axis=0, return_inverse=True
    )
    for number, (seed_label, predicted_class) in enumerate(pairs):
        rows = np.flatnonzero(inverse.ravel() == number)
        if len(rows) >= least_codes:
            yield int(seed_label), int(predicted_class), rows


def _components(mixture: Mixture) -> Iterator[tuple[int, Int64[np.ndarray, " m"]]]:
    for component in np.unique(mixture.assignment):
        yield int(component), np.flatnonzero(mixture.assignment == component)


def _majority(classes: np.ndarray) -> int:
    return int(np.bincount(classes).argmax())


def sample_region(
    mean: Float64[np.ndarray, " d"],
    covariance: Covariance,
    tau: float,
    count: int,
    generator: np.random.Generator,
) -> Codes:
    """Draw codes from N(mean, tau * covariance): the paper's way to show and to repair a region."""
    return (mean + covariance.sample(tau, count, generator)).astype(np.float32)
