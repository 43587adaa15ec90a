"""A search's regions over its candidates, drawn as a curve of characters."""

from collections.abc import Sequence
from itertools import pairwise

from defuse.cli.output import stdout
from defuse.messages import SaturationPoint

_WIDTH, _HEIGHT = 60, 6
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_PLAIN = " #"
"""For terminals and files whose encoding lacks the other characters."""


def write_saturation(points: Sequence[SaturationPoint]) -> None:
    """Draw how many regions were found after how many candidates. `points` must not be empty."""
    last = points[-1]
    encodable = stdout.encoding.lower().startswith("utf")
    label = str(last.regions)
    stdout.print("regions found, by candidates tried", highlight=False)
    for number, line in enumerate(curve(points, _EIGHTHS if encodable else _PLAIN)):
        mark = label if number == 0 else "0" if number == _HEIGHT - 1 else ""
        stdout.print(f"{mark:>{len(label)}} |{line}", markup=False, highlight=False, no_wrap=True)
    stdout.print(f"{'':>{len(label)}}  0{last.candidates:>{_WIDTH - 1}}", highlight=False, no_wrap=True)


def curve(points: Sequence[SaturationPoint], levels: str) -> list[str]:
    """Return the lines of the curve from (0, 0) through all points, the uppermost first.

    `levels` are the characters of a cell, from empty to full.
    """
    steps = len(levels) - 1
    most = max((point.regions for point in points), default=0) or 1
    fills = [round(height / most * _HEIGHT * steps) for height in _heights(points)]
    return [
        "".join(levels[min(max(fill - row * steps, 0), steps)] for fill in fills).rstrip()
        for row in reversed(range(_HEIGHT))
    ]


def _heights(points: Sequence[SaturationPoint]) -> list[float]:
    """Return the regions at the end of each column, interpolated linearly between two points."""
    known = [(0, 0), *((point.candidates, point.regions) for point in points)]
    total, last = known[-1]

    def height(at: float) -> float:
        for (start, below), (stop, above) in pairwise(known):
            if start < at <= stop:
                return below + (above - below) * (at - start) / (stop - start)
        return float(last)

    return [height(total * column / _WIDTH) for column in range(1, _WIDTH + 1)]
