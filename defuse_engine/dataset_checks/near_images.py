"""Images that show the same picture up to small changes: shifted, brighter, or the next frame of a track.

What an image has beyond the mean of its class is measured in directions that all vary equally within the
class. Independent items have little in common there, so the cosine of two of them is small.

How near is too near is told by the class itself. Among independent items, the nearest lies at a share of the
distance of the 50th: the more directions a class varies in, the larger the share, which is about 50 to the
power of minus one over their number. An item that lies far closer than that shows the same picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from defuse_engine.dataset_checks.shrunk_images import shrunk_images
from defuse_engine.inputs.dataset import Split

_MOST_DIRECTIONS = 64
_LEAST_VARIANCE = 1e-3
"""Of a direction that is measured, as a share of the widest one's: below are rounding and noise."""
_YARDSTICK_RANK = 50
"""Rank of the neighbour that the nearest is compared with: tracks and bursts of frames are shorter."""
_LEAST_ITEMS = 12
"""Of a class whose own neighbours are a yardstick."""
_PROBES = 256
_MOST_RATIO = 0.45
_BY_CHANCE = 0.002
"""Share of independent items that may lie as close as the bar."""
_ROUNDING = 1e-3
"""Distances below this are rounding: a class that varies in one or two directions is too crowded to tell."""
_BLOCK_COSINES = 1 << 23

Indices = Int64[np.ndarray, " _"]
Vectors = Float32[np.ndarray, "_ _"]


@dataclass(frozen=True)
class Near:
    """Items that have a near image, with the nearest; row i of every array is the same pair."""

    item: Indices
    """Index into the split of the items that were looked for."""
    twin: Indices
    """Index into the other split."""
    closeness: Float32[np.ndarray, " _"]
    """Cosine of the two, at most 1."""


@dataclass(frozen=True)
class _Yardstick:
    """How far the items of a class lie from each other."""

    rank: int
    """0: the class has too few items to tell, so that unrelated ones stand for the neighbour."""
    ratio: float
    """The nearest must be closer than this share of the neighbour's distance."""


class NearImages:
    """Finds near images of one class, by a measure that items of the train split give."""

    def __init__(self, train: Split, sample: Indices, class_count: int):
        """Learn the measure from the items at `sample` of the train split, (n,)."""
        self._sample = sample
        self._places = _places(train.labels[sample], class_count)
        rows = shrunk_images(train, sample)
        self._means = np.zeros((class_count, rows.shape[1]), np.float32)
        for label, places in enumerate(self._places):
            if len(places):
                self._means[label] = rows[places].mean(axis=0)
                rows[places] -= self._means[label]
        self._pooled = _whitening(rows.T @ rows / len(rows))
        rows = rows @ self._pooled
        self._own = [_class_whitening(rows[places]) for places in self._places]
        self._train = self._directions(rows, self._places)
        self._yardsticks = [_yardstick(self._train[places]) for places in self._places]

    def in_train(self, split: Split, items: Indices) -> Near:
        """Find the items of another split, (n,), whose image is near one of the train sample."""
        found = self._near(split, items, self._train, self._places)
        return Near(found.item, self._sample[found.twin], found.closeness)

    def between(self, split: Split, items: Indices, other: Split, others: Indices) -> Near:
        """Find the items of one split, (n,), whose image is near one at `others`, (m,), of another split."""
        places = _places(other.labels[others], len(self._means))
        found = self._near(split, items, self._vectors(other, others), places)
        return Near(found.item, others[found.twin], found.closeness)

    def _near(self, split: Split, items: Indices, others: Vectors, places: list[Indices]) -> Near:
        """Find near images; `places` are the rows of `others` of each class, and `twin` is such a row."""
        if not len(items):
            return Near(items, items, np.zeros(0, np.float32))
        vectors, labels = self._vectors(split, items), split.labels[items]
        twin, closeness = np.full(len(items), -1, np.int64), np.zeros(len(items), np.float32)
        for label, yardstick in enumerate(self._yardsticks):
            own = np.flatnonzero(labels == label)
            if not len(self._places[label]) or not len(places[label]):
                continue
            known, there = self._train[self._places[label]], others[places[label]]
            block = max(1, _BLOCK_COSINES // max(len(known), len(there)))
            for rows in np.split(own, range(block, len(own), block)):
                cosines = vectors[rows] @ there.T
                nearest = cosines.argmax(axis=1)
                closest = cosines[np.arange(len(rows)), nearest]
                bar = yardstick.ratio * _distances(_ranked(vectors[rows] @ known.T, yardstick.rank))
                near = (_distances(closest) <= bar) & (bar > _ROUNDING)
                twin[rows[near]] = places[label][nearest[near]]
                closeness[rows[near]] = np.minimum(closest[near], 1.0)
        found = twin >= 0
        return Near(items[found], twin[found], closeness[found])

    def _vectors(self, split: Split, items: Indices) -> Vectors:
        labels = split.labels[items]
        rows = (shrunk_images(split, items) - self._means[labels]) @ self._pooled
        return self._directions(rows, _places(labels, len(self._means)))

    def _directions(self, rows: Vectors, places: list[Indices]) -> Vectors:
        """Return the rows of each class in its own directions, at length 1."""
        made = np.zeros_like(rows)
        for own, whitening in zip(places, self._own, strict=True):
            made[own] = rows[own] @ whitening
        lengths = np.linalg.norm(made, axis=1, keepdims=True)
        return made / np.maximum(lengths, np.finfo(np.float32).tiny)


def _places(labels: Indices, class_count: int) -> list[Indices]:
    return [np.flatnonzero(labels == label) for label in range(class_count)]


def _whitening(covariance: Float[np.ndarray, "d d"]) -> Float32[np.ndarray, "d m"]:
    """Return the widest directions, each divided by its deviation."""
    variances, directions = np.linalg.eigh(covariance.astype(np.float64))
    wide = variances > max(_LEAST_VARIANCE * variances[-1], np.finfo(np.float32).tiny)
    chosen = np.flatnonzero(wide)[-_MOST_DIRECTIONS:]
    return (directions[:, chosen] / np.sqrt(variances[chosen])).astype(np.float32)


def _class_whitening(rows: Vectors) -> Float32[np.ndarray, "m m"]:
    """Return what makes the rows of a class vary equally. Of few rows, all classes together tell more."""
    count, size = rows.shape
    share = count / (count + size) if size else 0.0
    covariance = share * (rows.T @ rows) / max(count, 1) + (1.0 - share) * np.eye(size)
    variances, directions = np.linalg.eigh(covariance)
    return (directions / np.sqrt(variances)).astype(np.float32)


def _yardstick(train: Vectors) -> _Yardstick:
    if len(train) < _LEAST_ITEMS:
        return _Yardstick(0, _ratio(max(1, len(train)), float(train.shape[1] - 1)))
    rank = min(_YARDSTICK_RANK, len(train) // 6)
    # Both are closer than the yardstick: from afar, a class that bends seems to vary in more directions.
    near_rank = max(1, rank // 5)
    far_rank = max(near_rank + 1, rank // 2)
    probes = train[:: max(1, len(train) // _PROBES)]
    cosines = probes @ train.T
    # An item is its own nearest, so ranks count from 0 here.
    near, far = (_distances(_ranked(cosines, 1 + other)) for other in (near_rank, far_rank))
    growth = float(np.median(np.log(np.maximum(far, 1e-6) / np.maximum(near, 1e-6))))
    return _Yardstick(rank, _ratio(rank, math.log(far_rank / near_rank) / max(growth, 1e-6)))


def _ratio(rank: int, directions: float) -> float:
    """Return the share of a neighbour's distance that the nearest of so many stays below by chance."""
    by_chance = -math.expm1(math.log1p(-_BY_CHANCE) / rank)
    return min(_MOST_RATIO, by_chance ** (1.0 / max(directions, 1e-6)))


def _ranked(cosines: Float32[np.ndarray, "n m"], rank: int) -> Float32[np.ndarray, " n"]:
    """Return each row's cosine of a rank from 1; 0 for rank 0."""
    if rank == 0:
        return np.zeros(len(cosines), np.float32)
    return np.partition(cosines, -rank, axis=1)[:, -rank]


def _distances(cosines: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    return np.sqrt(np.maximum(2.0 - 2.0 * cosines, np.float32(0.0)))
