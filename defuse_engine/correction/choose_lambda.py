"""The choice of lambda: which point of a correction's sweep is returned."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from defuse_engine.errors import CorrectionFailed, Reason

REGION_TOLERANCE = 0.02
"""Region accuracies that differ by less count as equal: a region's own samples are not that pure."""
LEAST_REPAIRED = 0.9
"""Region accuracy below which the result says that the repair is partial."""
MOST_GIVEN_UP = 0.02
"""Validation accuracy that the best trade-off may cost, if every setting costs something."""
MOST_CLASS_ERRORS = 3.0
"""Standard errors by which the validation accuracy of a single class may fall."""


@dataclass(frozen=True)
class Point:
    """One setting of the sweep, measured on the validation split and on held-out region samples."""

    region_weight: float | None
    """Lambda; None for the classifier under audit."""
    learning_rate: float
    epochs: int
    """Passes over the clean data, of all the point's stages."""
    validation_accuracy: float
    """Share of the validation split, in [0, 1]."""
    validation_error: float
    """Standard error of this validation accuracy minus the baseline's.

    Both are measured on the same items. So it is the square root of the number of items that only one of the
    two gets right, over the number of items (Q. McNemar, Psychometrika 12, 1947)."""
    region_accuracy: float
    """Share of held-out samples of the labeled regions that get the region's label, in [0, 1]."""
    training_loss: float
    """CE(clean) + lambda * CE of every pool, in nats, over the last steps."""
    diverged: bool
    worst_class_change: float = 0.0
    """Change of the class whose validation accuracy fell most, or rose least."""
    worst_class_fall: float = 0.0
    """The largest fall of a class's validation accuracy, over its own standard error; 0 if none fell."""
    mined_count: int = 0
    """Misclassifications of the best classifier so far that were mined, and trained on."""
    chosen: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the point as `result.json` describes it."""
        fields = dataclasses.asdict(self)
        del fields["validation_error"], fields["worst_class_fall"]
        return {"lambda": fields.pop("region_weight"), **fields}


def choose(points: list[Point], baseline: Point, control: Point | None = None) -> int:
    """Return the number of the point to return.

    Points that keep the baseline's validation accuracy (`keeps`) come first; of these, if a control is given,
    those that reach it (`reaches`). Among those within `REGION_TOLERANCE` of the best region accuracy, the
    best validation accuracy wins; among equals, the least weight on the regions, because a few hundred items
    tell little and later stages go on from it.

    If no point keeps it, the best sum of both accuracies wins, among those that improve the regions and give
    up at most `MOST_GIVEN_UP`. Raises CORRECTION_DIVERGED if there is no such point either: what a correction
    broke is never returned.
    """
    kept = [i for i, point in enumerate(points) if keeps(point, baseline)]
    if kept:
        level = [i for i in kept if control is None or reaches(points[i], control)] or kept
        least = max(points[i].region_accuracy for i in level) - REGION_TOLERANCE
        eligible = [i for i in level if points[i].region_accuracy >= least]
        return max(eligible, key=lambda i: _merit(points[i]))
    sound = [
        i
        for i, point in enumerate(points)
        if not point.diverged
        and _repairs(point, baseline)
        and point.validation_accuracy >= baseline.validation_accuracy - MOST_GIVEN_UP
    ]
    if not sound:
        raise _diverged(points, baseline)
    return max(sound, key=lambda i: points[i].validation_accuracy + points[i].region_accuracy)


def contenders(points: list[Point], baseline: Point) -> set[int]:
    """Return the numbers of the points that `choose` may still return when more follow.

    A better point raises the region accuracy that the others must reach, so the one that `choose` would
    return now is not enough. Of those that keep what was known, these are all that no other outdoes in both
    accuracies.
    """
    kept = [i for i, point in enumerate(points) if keeps(point, baseline)]
    if kept:
        return {i for i in kept if not any(_outdoes(points, j, i) for j in kept)}
    try:
        return {choose(points, baseline)} if points else set()
    except CorrectionFailed:
        return set()


def holds(last: Point, incumbent: Point, baseline: Point) -> bool:
    """Whether a point that trained on mined misclassifications takes the place of the best so far.

    It must keep what was known, and be no worse than the incumbent within the standard error. What it gains
    lies where neither validation items nor region samples are.
    """
    return (
        keeps(last, baseline)
        and last.region_accuracy >= incumbent.region_accuracy - REGION_TOLERANCE
        and last.validation_accuracy >= incumbent.validation_accuracy - last.validation_error
    )


def keeps(point: Point, baseline: Point) -> bool:
    """Whether a point repairs regions and costs nothing that can be measured.

    Validation accuracy must not fall by more than its standard error. Of a few hundred items, one more or
    less wrong says nothing, and must not stand against the repair of every region. No class alone may fall by
    more than three of its own standard errors: of dozens of classes some always fall by one.
    """
    return (
        not point.diverged
        and point.worst_class_fall <= MOST_CLASS_ERRORS
        and point.validation_accuracy >= baseline.validation_accuracy - point.validation_error
        and _repairs(point, baseline)
    )


def reaches(point: Point, control: Point) -> bool:
    """Whether a point has the validation accuracy of the same fine-tuning without regions.

    Within the standard error of what the fine-tuning changed.
    """
    return point.validation_accuracy >= control.validation_accuracy - control.validation_error


def _outdoes(points: list[Point], one: int, other: int) -> bool:
    """Whether `choose` prefers a point to another whatever follows: it also repairs as much."""
    first, second = ((*_merit(points[i]), -i) for i in (one, other))
    return first > second and points[one].region_accuracy >= points[other].region_accuracy


def _merit(point: Point) -> tuple[float, float]:
    """Of points that repair as much, the one with the most wins."""
    return point.validation_accuracy, -(point.region_weight or 0.0)


def _repairs(point: Point, baseline: Point) -> bool:
    """Whether anything is better: the regions, or the rest without harm to them."""
    repaired, before = point.region_accuracy, baseline.region_accuracy
    better_elsewhere = repaired == before and point.validation_accuracy > baseline.validation_accuracy
    return repaired > before or repaired >= 1.0 - REGION_TOLERANCE or better_elsewhere


def _diverged(points: list[Point], baseline: Point) -> CorrectionFailed:
    best = max(points, key=lambda point: point.validation_accuracy + point.region_accuracy)
    return CorrectionFailed(
        Reason.CORRECTION_DIVERGED,
        f"each of {len(points)} settings of the fine-tuning made the classifier worse or repaired nothing. "
        f"Validation accuracy was {baseline.validation_accuracy:.4f}; the best setting has "
        f"{best.validation_accuracy:.4f}. Look at the labels, or try a smaller learning rate",
        {
            "validation_accuracy_before": baseline.validation_accuracy,
            "validation_accuracy_after": best.validation_accuracy,
            "region_accuracy_before": baseline.region_accuracy,
            "region_accuracy_after": best.region_accuracy,
        },
    )
