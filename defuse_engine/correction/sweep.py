"""The sweep: the settings that are tried, one after another, and the one that is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from defuse_engine.correction.choose_lambda import (
    LEAST_REPAIRED,
    REGION_TOLERANCE,
    Point,
    choose,
    contenders,
    holds,
    keeps,
    reaches,
)
from defuse_engine.correction.fine_tuning import Setting, Tuned, Tuning, fine_tune, predict
from defuse_engine.correction.measure import Measure
from defuse_engine.correction.mining import Miner
from defuse_engine.errors import CorrectionFailed
from defuse_engine.memory import give_back
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.models.torch_form.differentiable import DifferentiableModel, write_back
from defuse_engine.run import Run

_SLOWER = 0.1
"""The learning rate falls by this factor after a round of all lambdas that kept nothing."""
_ROUNDS = 3
_LONGER = 3
"""Times the passes of the first round, in all that follows."""
_FASTER = 2.0
"""Times the learning rate, tried with the best lambda where the usual one leaves regions wrong."""
_LOOKED_AT = 20_000
"""Samples of regions that show what a stage has missed."""
_SETTLING = 0.3
"""Times learning rate and lambda of the last stage, which wins back what the regions cost elsewhere. It takes
as many steps as a point of the first round."""


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


@dataclass(frozen=True)
class _Tried:
    """A point of the sweep, and how it came about."""

    path: _Path
    tuning: Tuning
    """Of the last stage."""
    point: Point


class Sweep:
    """Tries settings one after another, with the same batches: the curve shows settings, not luck."""

    def __init__(
        self,
        run: Run,
        model: DifferentiableModel,
        tuning: Tuning,
        measure: Measure,
        baseline: Point,
        miner: Miner | None,
    ):
        """Fine-tune copies of `model`, the torch form of the classifier under audit.

        Without a miner the lambdas alone are tried.
        """
        self._run, self._model, self._tuning = run, model, tuning
        self._measure, self._baseline, self._miner = measure, baseline, miner
        self._steps_done = 0
        self._tried: list[_Tried] = []
        self._models: dict[int, DifferentiableModel] = {}
        """By the number of the point, as long as it may be chosen or gone on from."""

    def run(self, lambdas: tuple[float, ...], learning_rate: float, epochs: int) -> Swept:
        """Try every lambda, then the best one longer; try all more slowly while none keeps what was known.

        Later stages go on from the best: on what it still gets wrong, and gently, with clean data in the
        lead. Raises CORRECTION_DIVERGED if no point may be returned.
        """
        for region_weight in lambdas:
            self._try((Setting(region_weight, learning_rate, epochs),))
        if self._miner is None:
            number = choose(self._points(), self._baseline)
        else:
            self._lengthen(learning_rate, epochs)
            self._slow_down(lambdas, learning_rate, epochs)
            number = self._finish(choose(self._points(), self._baseline), self._miner)
        chosen = self._tried[number]
        control, tuned = self._control(chosen.path, chosen.tuning)
        self._warn(chosen.point, control)
        curve = [
            dataclasses.replace(point, chosen=index == number) for index, point in enumerate(self._points())
        ]
        return Swept(curve, self._models[number], control, tuned.model)

    def _points(self) -> list[Point]:
        return [tried.point for tried in self._tried]

    def _lengthen(self, learning_rate: float, epochs: int) -> None:
        """Try the best lambda longer, and if that leaves regions wrong, faster too."""
        control, _ = self._control((Setting(0.0, learning_rate, epochs),), self._tuning)
        try:
            number = choose(self._points(), self._baseline, control)
        except CorrectionFailed:
            return
        region_weight = self._tried[number].path[0].region_weight
        # Of a large dataset a pass is as long as a run may be.
        if self._tuning.steps(_LONGER * epochs) > self._tuning.steps(epochs):
            longer = self._try((Setting(region_weight, learning_rate, _LONGER * epochs),))
            if self._tried[longer].point.region_accuracy >= 1.0 - REGION_TOLERANCE:
                return
        self._try((Setting(region_weight, _FASTER * learning_rate, _LONGER * epochs),))

    def _slow_down(self, lambdas: tuple[float, ...], learning_rate: float, epochs: int) -> None:
        """Try all lambdas more slowly, while nothing keeps what was known."""
        for number in range(1, _ROUNDS):
            if any(keeps(point, self._baseline) for point in self._points()):
                return
            for region_weight in lambdas:
                self._try((Setting(region_weight, learning_rate * _SLOWER**number, epochs),))

    def _finish(self, best: int, miner: Miner) -> int:
        """Go on gently from the best point: after a stage on what it gets wrong, or without that stage."""
        mined = self._mine(best, miner)
        if mined is None:
            return self._better(best, self._settle(best, {best}))
        if holds(self._tried[mined].point, self._tried[best].point, self._baseline):
            return self._better(mined, self._settle(mined, {best, mined}))
        best = self._better(best, self._settle(best, {best, mined}))
        if self._tried[mined].point.diverged:
            return best
        # At full rate the stage cost something elsewhere: gently that may be won back.
        regained = self._settle(mined, {best, mined})
        won_back = holds(self._tried[regained].point, self._tried[best].point, self._baseline)
        return regained if won_back else best

    def _mine(self, number: int, miner: Miner) -> int | None:
        """Go on with a point's setting, on what it and the original get wrong; None if that is nothing."""
        mined = miner.mine(self._as_classifier(number))
        if len(mined.labels) == 0:
            return None
        path, pools = self._tried[number].path, (*self._tuning.pools, mined)
        tuning = dataclasses.replace(self._tuning, pools=pools, mined_count=len(mined.labels))
        return self._try((*path, path[-1]), tuning, number, {number})

    def _settle(self, number: int, needed: Collection[int]) -> int:
        """Go on from a point with a lower rate, and less weight on the regions."""
        tried = self._tried[number]
        last = tried.path[-1]
        epochs = max(1, last.epochs // _LONGER)
        gentle = Setting(_SETTLING * last.region_weight, _SETTLING * last.learning_rate, epochs)
        return self._try((*tried.path, gentle), tried.tuning, number, needed)

    def _try(
        self,
        path: _Path,
        tuning: Tuning | None = None,
        start: int | None = None,
        needed: Collection[int] = (),
    ) -> int:
        """Do the last stage of a path, from the point `start`; return the new point's number.

        Without a start it begins with the classifier under audit. The models of the points `needed` are kept,
        and of those that may still be chosen.
        """
        alive = contenders(self._points(), self._baseline).union(needed)
        self._models = {number: self._models[number] for number in alive}
        tuning = tuning or self._tuning
        tuned = self._tune(path[-1], tuning, self._model if start is None else self._models[start])
        number = len(self._tried)
        self._models[number] = tuned.model
        self._tried.append(_Tried(path, tuning, self._measured(tuned, path, tuning)))
        return number

    def _better(self, *numbers: int) -> int:
        return numbers[choose([self._tried[number].point for number in numbers], self._baseline)]

    def _as_classifier(self, number: int) -> Classifier:
        classifier = self._run.inputs.classifier
        return Classifier(
            write_back(classifier.session.model_bytes, self._models[number]),
            classifier.preprocessing,
            classifier.output_kind,
            classifier.session.runtime,
            "the tuned classifier",
            classifier.output.name,
        )

    def _control(self, path: _Path, tuning: Tuning) -> tuple[Point, Tuned]:
        """Do the same stages without regions."""
        path = tuple(dataclasses.replace(setting, region_weight=0.0) for setting in path)
        tuned = self._tune(path[0], tuning, self._model)
        for setting in path[1:]:
            tuned = self._tune(setting, tuning, tuned.model)
        return dataclasses.replace(self._measured(tuned, path, tuning), mined_count=0), tuned

    def _measured(self, tuned: Tuned, path: _Path, tuning: Tuning) -> Point:
        epochs = sum(tuning.walked_epochs(setting.epochs) for setting in path)
        return self._measure.point(tuned, path[-1], epochs, tuning.mined_count)

    def _tune(self, setting: Setting, tuning: Tuning, start: DifferentiableModel) -> Tuned:
        give_back()
        before = self._steps_done
        self._steps_done += tuning.steps(setting.epochs)
        return fine_tune(
            start,
            tuning,
            setting,
            self._run.generator("correct/batches"),
            # How many settings there are is known only at the end.
            lambda done: self._run.reporter.progress("correct", before + done, 0, "steps"),
            self._missed(start) if setting.region_weight and start is not self._model else None,
        )

    def _missed(self, start: DifferentiableModel) -> Int64[np.ndarray, " n"]:
        """Return samples of regions that a stage left wrong: few, of few regions; the next repairs them."""
        samples = self._tuning.pools[0]
        some = self._run.generator("correct/missed").permutation(len(samples.labels))[:_LOOKED_AT]
        preprocessing = self._run.inputs.classifier.preprocessing
        return some[predict(start, preprocessing, samples.images[some]) != samples.labels[some]]

    def _warn(self, chosen: Point, control: Point) -> None:
        if not keeps(chosen, self._baseline):
            self._run.reporter.warning(
                "VALIDATION_ACCURACY_NOT_KEPT",
                f"no setting kept the validation accuracy of {self._baseline.validation_accuracy:.4f}, "
                "overall and of each class. The best trade-off has "
                f"{chosen.validation_accuracy:.4f}: evaluate it before you promote it",
            )
        if not reaches(chosen, control):
            self._run.reporter.warning(
                "CONTROL_NOT_REACHED",
                "the same fine-tuning without regions has a validation accuracy of "
                f"{control.validation_accuracy:.4f}, the corrected classifier has "
                f"{chosen.validation_accuracy:.4f}. Repairing the regions costs the difference elsewhere: "
                "weigh it, or add train data",
            )
        if chosen.region_accuracy < LEAST_REPAIRED:
            self._run.reporter.warning(
                "REGIONS_NOT_REPAIRED",
                f"the corrected classifier gets {chosen.region_accuracy:.4f} of held-out region samples "
                "right. No setting that keeps the validation accuracy repairs more: look at the labels of "
                "the regions that stay wrong, or add train data",
            )
