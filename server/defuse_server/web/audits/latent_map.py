"""Draws the regions of an audit on a plane, along the two directions in which their means spread most.

The principal components are computed without numpy, which the web process does not import. There are at most
a few hundred means, so power iteration on the smaller of the two product matrices is fast enough.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import Final

from defuse.v1.audit_service_pb2 import Region

REGIONS_SHOWN: Final = 200
"""Most regions on the map, those with the most misread inputs."""
COLOURS: Final = 8
WIDTH, HEIGHT = 640, 420
_MARGIN: Final = 28
_RADIUS: Final = (6.0, 18.0)
_NAMED_FROM: Final = 9.0
_TEXT_RADIUS: Final = 6.0
_ITERATIONS: Final = 300
_TOLERANCE: Final = 1e-9

Vector = list[float]


@dataclass(frozen=True)
class Projection:
    """Points on the plane, and the share of the means' variance along each of its directions, 0..1."""

    points: list[tuple[float, float]]
    shares: tuple[float, float]


@dataclass(frozen=True)
class Dot:
    """A region on the map, in pixels. `colour` is the place of its confusion in the legend."""

    region: Region
    x: float
    y: float
    radius: float
    colour: int
    named: bool
    """True if its number fits on it and no other dot covers the number."""


@dataclass(frozen=True)
class Confusion:
    """A line of the legend. The last one may stand for all other confusions, without labels."""

    colour: int
    count: int
    seed_label: int | None = None
    predicted_class: int | None = None


@dataclass(frozen=True)
class LatentMap:
    """The dots and the legend of the map."""

    dots: list[Dot]
    legend: list[Confusion]
    shares: tuple[float, float]


def latent_map(regions: Sequence[Region]) -> LatentMap | None:
    """Return the map of an audit's first regions, or None if they have no means."""
    shown = [region for region in regions[:REGIONS_SHOWN] if region.mean]
    if not shown or len({len(region.mean) for region in shown}) != 1:
        return None
    projection = project([list(region.mean) for region in shown])
    legend = _legend(shown)
    colours = {(entry.seed_label, entry.predicted_class): entry.colour for entry in legend}
    places, radii = _fitted(projection.points), _radii([region.harm.value for region in shown])
    # Small dots are drawn last, so none is hidden.
    order = sorted(range(len(shown)), key=lambda place: -radii[place])
    dots: list[Dot] = []
    for rank, place in enumerate(order):
        region, (x, y) = shown[place], places[place]
        later = [(places[other], radii[other]) for other in order[rank + 1 :]]
        dots.append(
            Dot(
                region=region,
                x=x,
                y=y,
                radius=radii[place],
                colour=colours.get((region.seed_label, region.predicted_class), COLOURS),
                named=radii[place] >= _NAMED_FROM and not _is_covered((x, y), later),
            )
        )
    return LatentMap(dots, legend, projection.shares)


def project(means: Sequence[Vector]) -> Projection:
    """Project the means (n, D) on their first two principal components, with a fixed sign."""
    columns = [_centred(column) for column in zip(*means, strict=True)]
    total = sum(_dot(column, column) for column in columns)
    if total <= 0:
        return Projection([(0.0, 0.0)] * len(means), (0.0, 0.0))
    scores, shares = list[Vector](), list[float]()
    for _ in range(2):
        score = _leading_scores([list(row) for row in zip(*columns, strict=True)], columns)
        variance = _dot(score, score)
        scores.append(score)
        shares.append(variance / total)
        if variance > _TOLERANCE * total:
            columns = [_less(column, score, _dot(column, score) / variance) for column in columns]
    return Projection(list(zip(scores[0], scores[1], strict=True)), (shares[0], shares[1]))


def _leading_scores(rows: list[Vector], columns: list[Vector]) -> Vector:
    """Return the rows' coordinates along the direction in which they vary most."""
    short = rows if len(rows) <= len(columns) else columns
    vector, value = _leading([[_dot(one, other) for other in short] for one in short])
    if short is rows:
        # An eigenvector of X X' gives the scores up to their length.
        score = [math.sqrt(max(value, 0.0)) * entry for entry in vector]
    else:
        score = [_dot(row, vector) for row in rows]
    # Both signs are valid. The largest score is made positive, so the map stays the same.
    return score if max(score, key=abs, default=0.0) >= 0 else [-entry for entry in score]


def _leading(matrix: list[Vector]) -> tuple[Vector, float]:
    """Return the eigenvector of a positive matrix's largest eigenvalue, and that value."""
    # Not constant: a constant vector is orthogonal to every direction of centred rows.
    vector = [1.0 + 0.5 * math.sin(3.0 * place) for place in range(len(matrix))]
    length = value = 0.0
    for _ in range(_ITERATIONS):
        grown = [_dot(row, vector) for row in matrix]
        length = math.sqrt(_dot(grown, grown))
        if length <= 0:
            return [0.0] * len(matrix), 0.0
        vector = [entry / length for entry in grown]
        if abs(length - value) <= _TOLERANCE * length:
            break
        value = length
    return vector, length


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(map(mul, one, other))


def _centred(column: Sequence[float]) -> Vector:
    mean = sum(column) / len(column)
    return [value - mean for value in column]


def _less(column: Vector, score: Vector, factor: float) -> Vector:
    return [value - factor * part for value, part in zip(column, score, strict=True)]


def _legend(regions: Sequence[Region]) -> list[Confusion]:
    counts = Counter((region.seed_label, region.predicted_class) for region in regions)
    named = [
        Confusion(colour, count, *pair) for colour, (pair, count) in enumerate(counts.most_common(COLOURS))
    ]
    others = sum(counts.values()) - sum(entry.count for entry in named)
    return [*named, Confusion(COLOURS, others)] if others else named


def _fitted(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points in pixels, at one scale for both directions."""
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    scale = min(
        (WIDTH - 2 * _MARGIN) / (right - left or 1.0),
        (HEIGHT - 2 * _MARGIN) / (high - low or right - left or 1.0),
    )
    middle_x, middle_y = (left + right) / 2, (low + high) / 2
    return [(WIDTH / 2 + scale * (x - middle_x), HEIGHT / 2 - scale * (y - middle_y)) for x, y in points]


def _is_covered(place: tuple[float, float], later: Sequence[tuple[tuple[float, float], float]]) -> bool:
    """Tell whether a dot that is drawn later covers the number at this place."""
    return any(math.dist(place, other) <= radius + _TEXT_RADIUS for other, radius in later)


def _radii(harms: Sequence[float]) -> list[float]:
    """Return radii by rank, as harms differ by orders of magnitude."""
    least, most = _RADIUS
    order = sorted(range(len(harms)), key=lambda place: harms[place])
    ranks = {place: rank for rank, place in enumerate(order)}
    step = (most - least) / max(len(harms) - 1, 1)
    return [least + step * ranks[place] for place in range(len(harms))]
