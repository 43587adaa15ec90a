"""The curves of a correction's sweep over lambda."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from defuse.v1.correction_service_pb2 import Correction, CorrectionPoint

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 24, 40
_INSET: Final = 14
_TICKS: Final = 4
_FIGURES: Final = (
    ("Accuracy on samples of the regions", "region_accuracy"),
    ("Accuracy on the validation split", "validation_accuracy"),
)


@dataclass(frozen=True)
class Point:
    """A setting that was tried, at its place in pixels."""

    x: float
    y: float
    weight: float
    share: float
    chosen: bool


@dataclass(frozen=True)
class Tick:
    """A line of the grid."""

    y: float
    text: str


@dataclass(frozen=True)
class Curve:
    """One figure over lambda. `path` joins settings that differ in lambda alone."""

    title: str
    before: float
    before_y: float
    points: list[Point]
    path: str
    ticks: list[Tick]


@dataclass(frozen=True)
class SweepPoint:
    """A setting of the sweep, and its lambda."""

    weight: float
    figures: CorrectionPoint


def points_by_lambda(correction: Correction) -> list[SweepPoint]:
    """Return the settings that did not diverge, by lambda."""
    tried = [SweepPoint(_weight(point), point) for point in correction.curve if not point.diverged]
    return sorted(tried, key=lambda one: one.weight)


def curves(correction: Correction) -> list[Curve]:
    """Return both curves of a correction, or none if no setting has ended or all diverged."""
    kept = [point for point in correction.curve if not point.diverged and _weight(point) > 0]
    return [_curve(title, field, correction.baseline, kept) for title, field in _FIGURES] if kept else []


def _curve(title: str, field: str, baseline: CorrectionPoint, tried: Sequence[CorrectionPoint]) -> Curve:
    before = getattr(baseline, field)
    low, high = _bounds([before, *(getattr(point, field) for point in tried)])
    first, last = (math.log10(bound(map(_weight, tried))) for bound in (min, max))

    def x_of(weight: float) -> float:
        place = (math.log10(weight) - first) / (last - first) if last > first else 0.5
        return LEFT + _INSET + place * (WIDTH - LEFT - RIGHT - 2 * _INSET)

    def y_of(share: float) -> float:
        return HEIGHT - BOTTOM - (share - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    points = [
        Point(x_of(_weight(one)), y_of(getattr(one, field)), _weight(one), getattr(one, field), one.chosen)
        for one in sorted(tried, key=_weight)
    ]
    # The line shows lambda alone. Other settings around the best lambda are dots.
    alike = [
        one for one in tried if (one.learning_rate, one.epochs) == (tried[0].learning_rate, tried[0].epochs)
    ]
    path = " ".join(
        f"{x_of(_weight(one)):.1f},{y_of(getattr(one, field)):.1f}" for one in sorted(alike, key=_weight)
    )
    return Curve(title, before, y_of(before), points, path, _ticks(low, high, y_of))


def _ticks(low: float, high: float, y_of: Callable[[float], float]) -> list[Tick]:
    digits = 0 if high - low > 0.1 else 1
    shares = (low + (high - low) * step / (_TICKS - 1) for step in range(_TICKS))
    return [Tick(y_of(share), f"{share:.{digits}%}") for share in shares]


def _bounds(shares: Sequence[float]) -> tuple[float, float]:
    low, high = min(shares), max(shares)
    margin = max(0.08 * (high - low), 0.002)
    return max(0.0, low - margin), min(1.0, high + margin)


def _weight(point: CorrectionPoint) -> float:
    return getattr(point, "lambda")
