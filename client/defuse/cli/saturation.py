"""What a search found against what it tried, as a curve of characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from defuse.cli.output import people
from defuse.messages import SaturationPoint

_WIDTH, _HEIGHT = 60, 6
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_PLAIN = " #"
"""For terminals and files that don't take the other characters."""


def write_saturation(points: Sequence[SaturationPoint]) -> None:
    """Draw how many regions had come into sight after how many candidates; at least one point."""
    last = points[-1]
    encodable = people.encoding.lower().startswith("utf")
    label = str(last.regions)
    people.print("regions in sight, by candidates tried", highlight=False)
    for number, line in enumerate(curve(points, _EIGHTHS if encodable else _PLAIN)):
        mark = label if number == 0 else "0" if number == _HEIGHT - 1 else ""
        people.print(f"{mark:>{len(label)}} |{line}", markup=False, highlight=False, no_wrap=True)
    people.print(f"{'':>{len(label)}}  0{last.candidates:>{_WIDTH - 1}}", highlight=False, no_wrap=True)


def curve(points: Sequence[SaturationPoint], levels: str) -> list[str]:
    """Lines of the curve from (0, 0) through all points, the uppermost first.

    `levels` are the characters of a cell from empty to full.
    """
    steps = len(levels) - 1
    most = max((point.regions for point in points), default=0) or 1
    fills = [round(height / most * _HEIGHT * steps) for height in _heights(points)]
    return [
        "".join(levels[min(max(fill - row * steps, 0), steps)] for fill in fills).rstrip()
        for row in reversed(range(_HEIGHT))
    ]


def _heights(points: Sequence[SaturationPoint]) -> list[float]:
    """Regions at the end of each column, between two shards as if they came evenly."""
    known = [(0, 0), *((point.candidates, point.regions) for point in points)]
    total = known[-1][0]
    heights: list[float] = []
    for column in range(1, _WIDTH + 1):
        at = total * column / _WIDTH
        heights.append(
            next(
                (
                    below + (above - below) * (at - start) / (stop - start)
                    for (start, below), (stop, above) in pairwise(known)
                    if start < at <= stop
                ),
                float(known[-1][1]),
            )
        )
    return heights
