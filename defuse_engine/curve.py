"""The curve of a correction's sweep, and which of its points is returned."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from defuse_engine.errors import CorrectionFailed, Reason

REGION_TOLERANCE = 0.02
"""Region accuracies that differ by less are alike: a region's own samples are not that pure."""
MOST_GIVEN_UP = 0.02
"""Validation accuracy that the best trade-off may cost, where no setting costs nothing."""


@dataclass(frozen=True)
class Point:
    """One setting of the sweep, measured on the validation split and on held-out region samples."""

    region_weight: float | None
    """Lambda; None for the classifier as it came."""
    learning_rate: float
    epochs: int
    validation_accuracy: float
    region_accuracy: float
    training_loss: float
    diverged: bool
    chosen: bool = False

    def to_json(self) -> dict[str, Any]:
        """The point as `result.json` describes it."""
        fields = dataclasses.asdict(self)
        return {"lambda": fields.pop("region_weight"), **fields}


def choose(points: list[Point], baseline: Point) -> int:
    """The number of the point to return.

    Points that keep the baseline's validation accuracy come first: of those within `REGION_TOLERANCE` of the
    best region accuracy the one with the best validation accuracy. Where none keeps it, the best sum of both
    accuracies of those that improve the regions and give up at most `MOST_GIVEN_UP`. Raises
    CORRECTION_DIVERGED where there is none of those either: what a correction broke is never returned.
    """
    kept = [i for i, point in enumerate(points) if keeps(point, baseline)]
    if kept:
        least = max(points[i].region_accuracy for i in kept) - REGION_TOLERANCE
        eligible = [i for i in kept if points[i].region_accuracy >= least]
        return max(eligible, key=lambda i: (points[i].validation_accuracy, points[i].region_accuracy))
    sound = [
        i
        for i, point in enumerate(points)
        if not point.diverged
        and point.region_accuracy > baseline.region_accuracy
        and point.validation_accuracy >= baseline.validation_accuracy - MOST_GIVEN_UP
    ]
    if not sound:
        raise _diverged(points, baseline)
    return max(sound, key=lambda i: points[i].validation_accuracy + points[i].region_accuracy)


def keeps(point: Point, baseline: Point) -> bool:
    """Whether a point costs nothing: neither validation accuracy nor region accuracy fell."""
    return (
        not point.diverged
        and point.validation_accuracy >= baseline.validation_accuracy
        and point.region_accuracy >= baseline.region_accuracy
    )


def _diverged(points: list[Point], baseline: Point) -> CorrectionFailed:
    best = max(points, key=lambda point: point.validation_accuracy + point.region_accuracy)
    return CorrectionFailed(
        Reason.CORRECTION_DIVERGED,
        f"every one of {len(points)} settings of the fine-tuning made the classifier worse: of a validation "
        f"accuracy of {baseline.validation_accuracy:.4f} the best kept {best.validation_accuracy:.4f}; "
        "look at the labels, or try a smaller learning rate",
        {
            "validation_accuracy_before": baseline.validation_accuracy,
            "validation_accuracy_after": best.validation_accuracy,
            "region_accuracy_before": baseline.region_accuracy,
            "region_accuracy_after": best.region_accuracy,
        },
    )
