"""Draws the sweep over lambda as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from defuse.messages import CorrectionPoint

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 22, 40


@dataclass(frozen=True)
class Line:
    """Which figure of a CorrectionPoint is drawn."""

    title: str
    field: str


@dataclass(frozen=True)
class _Axes:
    """Maps lambda (logarithmic) and a share (linear) to pixels."""

    lambdas: tuple[float, float]
    shares: tuple[float, float]

    def x(self, weight: float) -> float:
        low, high = (math.log10(bound) for bound in self.lambdas)
        place = (math.log10(weight) - low) / (high - low) if high > low else 0.5
        return LEFT + 14 + place * (WIDTH - LEFT - RIGHT - 28)

    def y(self, share: float) -> float:
        low, high = self.shares
        return HEIGHT - BOTTOM - (share - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def curve_svg(line: Line, baseline: CorrectionPoint, curve: Sequence[CorrectionPoint]) -> str:
    """One panel: the figure over lambda, the chosen point filled, the value before as a dashed line."""
    kept = [point for point in curve if not point.diverged and _weight(point) > 0]
    points = sorted((_weight(point), getattr(point, line.field), point.chosen) for point in kept)
    if not points:
        return "<p>Every weight that was tried diverged.</p>"
    before = getattr(baseline, line.field)
    axes = _Axes((points[0][0], points[-1][0]), _share_bounds([before, *(share for _, share, _ in points)]))
    # What was tried around the best lambda stands as dots: the line shows lambda alone.
    alike = [point for point in kept if (point.learning_rate, point.epochs) == _first(curve)]
    over_lambda = sorted((_weight(point), getattr(point, line.field)) for point in alike)
    path = " ".join(f"{axes.x(weight):.1f},{axes.y(share):.1f}" for weight, share in over_lambda)
    parts = [_grid(axes), _before(axes, before), f'<polyline class="curve" points="{path}"/>']
    parts += [_point(axes, *point) for point in points]
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">λ</text>')
    label = f"{line.title} over lambda"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _weight(point: CorrectionPoint) -> float:
    return getattr(point, "lambda")


def _first(curve: Sequence[CorrectionPoint]) -> tuple[float, int]:
    return curve[0].learning_rate, curve[0].epochs


def _share_bounds(shares: Sequence[float]) -> tuple[float, float]:
    low, high = min(shares), max(shares)
    margin = max(0.08 * (high - low), 0.002)
    return max(0.0, low - margin), min(1.0, high + margin) if high < 1 else 1.0


def _grid(axes: _Axes) -> str:
    low, high = axes.shares
    digits = 0 if high - low > 0.1 else 1
    lines: list[str] = []
    for step in range(4):
        share = low + (high - low) * step / 3
        y = axes.y(share)
        lines.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.{digits}%}</text>')
    return "".join(lines)


def _before(axes: _Axes, share: float) -> str:
    y = axes.y(share)
    return f'<line class="before" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _point(axes: _Axes, weight: float, share: float, chosen: bool) -> str:
    x, y = axes.x(weight), axes.y(share)
    kind = "point chosen" if chosen else "point"
    text_y = y - 10 if y > TOP + 12 else y + 20
    return (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        f'<text class="value" x="{x:.1f}" y="{text_y:.1f}" text-anchor="middle">{share:.1%}</text>'
        f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{weight:g}</text>'
    )
