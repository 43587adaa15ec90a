"""How a point of the sweep is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from defuse_engine.correction.choose_lambda import Point
from defuse_engine.correction.fine_tuning import Right, Setting, Tuned, classified_right, predict
from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.inputs.loaded import LoadedInputs


@dataclass(frozen=True)
class Measure:
    """Measures models on the validation split, and on region samples that training never sees."""

    inputs: LoadedInputs
    held_out: LabeledSamples
    baseline_right: Right
    """Which validation items the classifier under audit gets right."""

    def point(self, tuned: Tuned, setting: Setting | None, epochs: int, mined_count: int = 0) -> Point:
        """Measure a model; a setting of None is the classifier under audit."""
        preprocessing = self.inputs.classifier.preprocessing
        right = classified_right(tuned.model, preprocessing, self.inputs.dataset.validation)
        predicted = predict(tuned.model, preprocessing, self.held_out.images)
        change, fall = self._worst_class(right)
        return Point(
            None if setting is None else setting.region_weight,
            0.0 if setting is None else setting.learning_rate,
            epochs,
            validation_accuracy=float(right.mean()),
            validation_error=math.sqrt((right != self.baseline_right).sum()) / len(right),
            region_accuracy=float((predicted == self.held_out.labels).mean()),
            training_loss=tuned.training_loss,
            diverged=tuned.diverged,
            worst_class_change=change,
            worst_class_fall=fall,
            mined_count=mined_count,
        )

    def _worst_class(self, right: Right) -> tuple[float, float]:
        """Return the least change of a class's accuracy, and the largest fall over its standard error."""
        labels = self.inputs.dataset.validation.labels
        changes: list[float] = []
        falls: list[float] = [0.0]
        for label in np.unique(labels):
            before, after = self.baseline_right[labels == label], right[labels == label]
            changes.append(float(after.mean() - before.mean()))
            differ = int((before != after).sum())
            if differ:
                falls.append((int(before.sum()) - int(after.sum())) / math.sqrt(differ))
        return min(changes), max(falls)
