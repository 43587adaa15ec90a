"""The sweep: which settings are tried, how each is measured, which one is kept."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from defuse_engine.correction import fine_tuning
from defuse_engine.correction.choose_lambda import (LEAST_REPAIRED, Point, choose, contenders, holds, keeps, reaches,)
from defuse_engine.correction.fine_tuning import Right, Setting, Tuned, Tuning, fine_tune
from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.correction.mining import Miner
from defuse_engine.errors import CorrectionFailed
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.torch_form.differentiable import DifferentiableModel, write_back
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.random_streams import numpy_generator

_SLOWER = 0.1
"""The learning rate falls by this factor after a round of all lambdas that kept nothing."""
_ROUNDS = 3
_LONGER = 3
"""Times the passes of the first round, in all that follows."""
_FASTER = 2.0
"""Times the learning rate, tried with the best lambda beside it."""
_LOOKED_AT = 20_000
"""Samples of regions that say what a stage has missed."""
_SETTLING = 0.3
"""Times learning rate and lambda of the last stage: what the regions cost elsewhere is won back."""


@dataclass(frozen=True)
class Measure:
    """What a point is measured with: the validation split, and region samples that training never sees."""

    resources: Resources
    held_out: LabeledSamples
    baseline_right: Right
    """Which items of the validation split the classifier as it came gets right."""

    def point(self, tuned: Tuned, setting: Setting | None, epochs: int, mined_count: int = 0) -> Point:
        """Measure a model; a setting of None is the classifier as it came."""
        preprocessing = self.resources.classifier.preprocessing
        right = fine_tuning.right(tuned.model, preprocessing, self.resources.dataset.validation)
        predicted = fine_tuning.predict(tuned.model, preprocessing, self.held_out.images)
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
        """The least change of a class's accuracy, and the largest fall over its standard error."""
        labels = self.resources.dataset.validation.labels
        changes: list[float] = []
        falls: list[float] = [0.0]
        for label in np.unique(labels):
            before, after = self.baseline_right[labels == label], right[labels == label]
            changes.append(float(after.mean() - before.mean()))
            differ = int((before != after).sum())
            if differ:
                falls.append((int(before.sum()) - int(after.sum())) / math.sqrt(differ))
        return min(changes), max(falls)


@dataclass(frozen=True)
class Swept:
    """The whole curve, its chosen point marked, and the models of the chosen point and of the control."""

    curve: list[Point]
    model: DifferentiableModel
    control: Point
    control_model: DifferentiableModel

    @property
    def chosen(self) -> Point:
        """The point that is returned."""
        return next(point for point in self.curve if point.chosen)


_Path = tuple[Setting, ...]
"""Stages of fine-tuning, each going on from the one before."""


class Sweep:
    """Tries settings one after another, with the same batches: the curve shows settings, not luck."""

    def __init__(
        self,
        model: DifferentiableModel,
        original: bytes,
        tuning: Tuning,
        measure: Measure,
        baseline: Point,
        miner: Miner | None,
        seed: int,
        reporter: Reporter,
    ):
        """Fine-tune copies of `model`, which is the torch form of the file `original`.

        Without a miner (`preset: paper` asks nobody what to believe) nothing is mined.
        """
        self._model, self._tuning, self._measure, self._baseline = model, tuning, measure, baseline
        self._original, self._miner = original, miner
        self._seed, self._reporter = seed, reporter
        self._steps_done = 0
        self._paths: list[_Path] = []
        self._points: list[Point] = []
        self._models: dict[int, DifferentiableModel] = {}
        """By the number of the point; of those alone that can still be chosen, or gone on from."""
        self._gone_on_from: set[int] = set()

    def run(self, lambdas: tuple[float, ...], learning_rate: float, epochs: int) -> Swept:
        """Every lambda; the best one longer; all more slowly while none keeps what was known.

        Then stages go on from the best: on what it still gets wrong, and gently, with clean data in the lead.
        `preset: paper` tries the lambdas alone. Raises CORRECTION_DIVERGED where no point may be returned.
        """
        for region_weight in lambdas:
            self._try((Setting(region_weight, learning_rate, epochs),))
        if self._tuning.preset == "paper":
            number = choose(self._points, self._baseline)
        else:
            self._lengthen(learning_rate, epochs)
            self._slow_down(lambdas, learning_rate, epochs)
            number = self._finished(choose(self._points, self._baseline))
        control, tuned = self._control(self._paths[number])
        self._warn(self._points[number], control)
        curve = [
            dataclasses.replace(point, chosen=index == number) for index, point in enumerate(self._points)
        ]
        return Swept(curve, self._models[number], control, tuned.model)

    def _lengthen(self, learning_rate: float, epochs: int) -> None:
        """The best lambda longer, at two learning rates."""
        control, _ = self._control((Setting(0.0, learning_rate, epochs),))
        try:
            number = choose(self._points, self._baseline, control)
        except CorrectionFailed:
            return
        region_weight = self._paths[number][0].region_weight
        # Of a large dataset a pass is as long as a run may be.
        if self._tuning.steps(_LONGER * epochs) > self._tuning.steps(epochs):
            self._try((Setting(region_weight, learning_rate, _LONGER * epochs),))
        self._try((Setting(region_weight, _FASTER * learning_rate, _LONGER * epochs),))

    def _slow_down(self, lambdas: tuple[float, ...], learning_rate: float, epochs: int) -> None:
        """All lambdas more slowly, while nothing keeps what was known."""
        for number in range(1, _ROUNDS):
            if any(keeps(point, self._baseline) for point in self._points):
                return
            for region_weight in lambdas:
                self._try((Setting(region_weight, learning_rate * _SLOWER**number, epochs),))

    def _try(self, path: _Path, start: int | None = None) -> None:
        """Do the last stage of a path, from the point `start` (None: from the classifier as it came)."""
        alive = contenders(self._points, self._baseline) | self._gone_on_from
        self._models = {number: self._models[number] for number in alive}
        tuned = self._tuned(path[-1], self._model if start is None else self._models[start])
        self._models[len(self._points)] = tuned.model
        self._paths.append(path)
        self._points.append(self._measured(tuned, path))

    def _finished(self, number: int) -> int:
        """Go on from a point gently: after a stage on what it and the original get wrong, or without that."""
        before = self._tuning
        self._gone_on_from.add(number)
        mined = self._mined(number)
        if mined is not None and holds(self._points[mined], self._points[number], self._baseline):
            return self._better(mined, self._gently(mined))
        with_mined, self._tuning = self._tuning, before
        number = self._better(number, self._gently(number))
        if mined is None or self._points[mined].diverged:
            return number
        # At full rate the stage cost something elsewhere: gently that may be won back.
        self._gone_on_from.add(number)
        self._tuning = with_mined
        regained = self._gently(mined)
        if holds(self._points[regained], self._points[number], self._baseline):
            return regained
        self._tuning = before
        return number

    def _mined(self, number: int) -> int | None:
        """Go on from a point with its setting, on what it and the original get wrong; None: nothing."""
        if self._miner is None:
            return None
        mined = self._miner.mine([self._measure.resources.classifier, self._as_classifier(number)])
        if len(mined.labels) == 0:
            return None
        pools = (*self._tuning.pools, mined)
        self._tuning = dataclasses.replace(self._tuning, pools=pools, mined_count=len(mined.labels))
        self._try((*self._paths[number], self._paths[number][-1]), number)
        self._gone_on_from.add(len(self._points) - 1)
        return len(self._points) - 1

    def _gently(self, number: int) -> int:
        """Go on from a point with a lower rate, and less weight on the regions."""
        last = self._paths[number][-1]
        gentle = Setting(_SETTLING * last.region_weight, _SETTLING * last.learning_rate, last.epochs)
        self._try((*self._paths[number], gentle), number)
        return len(self._points) - 1

    def _better(self, *numbers: int) -> int:
        return numbers[choose([self._points[number] for number in numbers], self._baseline)]

    def _as_classifier(self, number: int) -> Classifier:
        classifier = self._measure.resources.classifier
        return Classifier(
            write_back(self._original, self._models[number]),
            classifier.preprocessing,
            classifier.output_kind,
            classifier.session.runtime,
            "the tuned classifier",
            classifier.output.name,
        )

    def _control(self, path: _Path) -> tuple[Point, Tuned]:
        """The same stages without regions."""
        path = tuple(dataclasses.replace(setting, region_weight=0.0) for setting in path)
        tuned = self._tuned(path[0], self._model)
        for setting in path[1:]:
            tuned = self._tuned(setting, tuned.model)
        return dataclasses.replace(self._measured(tuned, path), mined_count=0), tuned

    def _measured(self, tuned: Tuned, path: _Path) -> Point:
        epochs = sum(self._tuning.walked_epochs(setting.epochs) for setting in path)
        return self._measure.point(tuned, path[-1], epochs, self._tuning.mined_count)

    def _tuned(self, setting: Setting, start: DifferentiableModel) -> Tuned:
        before = self._steps_done
        self._steps_done += self._tuning.steps(setting.epochs)
        return fine_tune(
            start,
            self._tuning,
            setting,
            numpy_generator(self._seed, "correct/batches"),
            # How many settings there will be shows as the sweep goes on: the total is what is known so far.
            lambda done: self._reporter.progress("correct", before + done, self._steps_done, "steps"),
            self._missed(start) if setting.region_weight and start is not self._model else None,
        )

    def _missed(self, start: DifferentiableModel) -> Int64[np.ndarray, " n"]:
        """Samples of regions that a stage left wrong: few, of few regions, which the next is to repair."""
        samples = self._tuning.pools[0]
        some = numpy_generator(self._seed, "correct/missed").permutation(len(samples.labels))[:_LOOKED_AT]
        preprocessing = self._measure.resources.classifier.preprocessing
        return some[fine_tuning.predict(start, preprocessing, samples.images[some]) != samples.labels[some]]

    def _warn(self, chosen: Point, control: Point) -> None:
        if not keeps(chosen, self._baseline):
            self._reporter.warning(
                "VALIDATION_ACCURACY_NOT_KEPT",
                f"no setting kept the validation accuracy of {self._baseline.validation_accuracy:.4f}, "
                "overall and of each class; the best trade-off has "
                f"{chosen.validation_accuracy:.4f}: evaluate it before it is promoted",
            )
        if not reaches(chosen, control):
            self._reporter.warning(
                "CONTROL_NOT_REACHED",
                "the same fine-tuning without regions has a validation accuracy of "
                f"{control.validation_accuracy:.4f}, the corrected classifier has "
                f"{chosen.validation_accuracy:.4f}: repairing the regions costs the difference elsewhere; "
                "weigh it, or give more train data",
            )
        if chosen.region_accuracy < LEAST_REPAIRED:
            self._reporter.warning(
                "REGIONS_NOT_REPAIRED",
                f"the corrected classifier gets {chosen.region_accuracy:.4f} of held-out region samples "
                "right: no setting that keeps the validation accuracy repairs more; look at the labels of "
                "the regions that stay wrong, or give more train data",
            )
