"""Step 4, correct: fine-tune the classifier on its train data and on labeled regions, and choose lambda."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from defuse_engine.configs import CorrectionConfig
from defuse_engine.correction import fine_tuning
from defuse_engine.correction.curve import LEAST_REPAIRED, Point, choose, keeps
from defuse_engine.correction.fine_tuning import Right, Tuned, Tuning, fine_tune
from defuse_engine.correction.labeled_regions import RegionSamples, check_labels, draw_samples, is_confirmed
from defuse_engine.correction.lineage import file_sha256, label_set_digest, with_lineage
from defuse_engine.errors import CorrectionFailed, JobInvalid, Reason
from defuse_engine.inputs.resources import Resources
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.output_files import write_whole
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.differentiable import (
    DifferentiableModel,
    parity_max_abs_error,
    to_torch,
    write_back,
)
from defuse_engine.models.preprocessing import apply
from defuse_engine.regions.regions_file import read_regions
from defuse_engine.seeding import numpy_generator
from defuse_engine.types import Regions

HELD_OUT_PER_REGION = 50
"""Samples of each region that choose lambda and are never trained on."""
_SLOWER = 0.1
"""The learning rate falls by this factor after a sweep that kept nothing."""
_SWEEPS = 3
_PARITY_IMAGES = 256
_LOSS_IMAGES = 2_000


@dataclass(frozen=True)
class _Measure:
    """What a point is measured with."""

    resources: Resources
    held_out: RegionSamples
    baseline_right: Right
    """Which items of the validation split the classifier as it came gets right."""

    def point(
        self,
        model: DifferentiableModel,
        region_weight: float | None,
        learning_rate: float,
        epochs: int,
        training_loss: float,
        *,
        diverged: bool,
    ) -> Point:
        """Measure a model on the validation split and on the held-out region samples."""
        preprocessing = self.resources.classifier.preprocessing
        validation = fine_tuning.right(model, preprocessing, self.resources.dataset.validation)
        predicted = fine_tuning.predict(model, preprocessing, self.held_out.images)
        return Point(
            region_weight,
            learning_rate,
            epochs,
            validation_accuracy=float(validation.mean()),
            validation_error=math.sqrt((validation != self.baseline_right).sum()) / len(validation),
            region_accuracy=float((predicted == self.held_out.labels).mean()),
            training_loss=training_loss,
            diverged=diverged,
        )


def run(job: Job, config: CorrectionConfig, resources: Resources, reporter: Reporter) -> dict[str, Any]:
    """Sweeps lambda and writes `output/corrected.onnx`; returns what the sweep adds to `result.json`.

    Lambda is chosen on the validation split and on held-out region samples (`curve.choose`). Raises
    NO_CONFIRMED_BUG, MODEL_NOT_DIFFERENTIABLE, or CORRECTION_DIVERGED where nothing may be returned.
    """
    files = _files(job)
    regions = read_regions(files.regions)
    check_labels(config.labels, regions, resources.dataset.class_count)
    _require_confirmed_bug(config, regions)
    reporter.progress("correct", 0, len(config.lambdas), "steps")
    original = files.classifier.read_bytes()
    model = to_torch(original).to(resources.runtime.device)
    measure = _Measure(
        resources,
        draw_samples(
            config.labels,
            regions,
            resources.decoder,
            config.tau,
            HELD_OUT_PER_REGION,
            job.seed,
            "correct/held-out",
        ),
        fine_tuning.right(model, resources.classifier.preprocessing, resources.dataset.validation),
    )
    tuning = _tuning(model, resources, regions, config, job.seed)
    baseline = measure.point(model, None, 0.0, 0, tuning.baseline_loss, diverged=False)
    curve, tuned = _sweep(model, tuning, measure, baseline, config, job.seed, reporter)
    chosen = next(point for point in curve if point.chosen)
    corrected = with_lineage(write_back(original, tuned), _lineage(files, config, chosen, job.seed))
    write_whole(job.output / "corrected.onnx", lambda stream: stream.write(corrected))
    return {
        "corrected": "output/corrected.onnx",
        "config": config.to_json(),
        "baseline": baseline.to_json(),
        "curve": [point.to_json() for point in curve],
        "parity_max_abs_error": _parity(corrected, tuned, resources),
        "region_count": len(config.labels),
    }


@dataclass(frozen=True)
class _Files:
    classifier: Path
    decoder: Path
    dataset: Path
    regions: Path


def _files(job: Job) -> _Files:
    inputs = job.inputs
    if inputs.classifier is None or inputs.vae is None or inputs.dataset is None or inputs.regions is None:
        raise JobInvalid("job.inputs of kind correct needs classifier, vae, dataset and regions")
    return _Files(inputs.classifier.file, inputs.vae.decoder, inputs.dataset.file, inputs.regions)


def _require_confirmed_bug(config: CorrectionConfig, regions: Regions) -> None:
    if not any(is_confirmed(label, regions) for label in config.labels):
        raise CorrectionFailed(
            Reason.NO_CONFIRMED_BUG,
            f"none of {len(config.labels)} labels differs from its region's predicted class: there is no "
            "confirmed bug to correct; label more regions",
            {"labels": len(config.labels), "regions": len(regions)},
        )


def _tuning(
    model: DifferentiableModel, resources: Resources, regions: Regions, config: CorrectionConfig, seed: int
) -> Tuning:
    classifier, train = resources.classifier, resources.dataset.train
    samples = draw_samples(
        config.labels,
        regions,
        resources.decoder,
        config.tau,
        config.samples_per_region,
        seed,
        "correct/train",
    )
    some = numpy_generator(seed, "correct/baseline-loss").permutation(len(train))[:_LOSS_IMAGES]
    loss = fine_tuning.mean_loss(
        model, classifier.preprocessing, classifier.output_kind, train.images(some), train.labels[some]
    )
    return Tuning(
        preprocessing=classifier.preprocessing,
        output_kind=classifier.output_kind,
        clean=train,
        region_samples=samples,
        epochs=config.epochs,
        batch_size=config.batch_size,
        baseline_loss=loss,
    )


def _sweep(
    model: DifferentiableModel,
    tuning: Tuning,
    measure: _Measure,
    baseline: Point,
    config: CorrectionConfig,
    seed: int,
    reporter: Reporter,
) -> tuple[list[Point], DifferentiableModel]:
    """The whole curve with its chosen point marked, and that point's model."""
    points: list[Point] = []
    models: list[DifferentiableModel] = []
    for point, tuned in _points(model, tuning, measure, baseline, config, seed, reporter):
        points.append(point)
        models.append(tuned.model)
    best = choose(points, baseline)
    chosen = points[best]
    if not keeps(chosen, baseline):
        reporter.warning(
            "VALIDATION_ACCURACY_NOT_KEPT",
            f"no setting kept the validation accuracy of {baseline.validation_accuracy:.4f}; the best "
            f"trade-off has {chosen.validation_accuracy:.4f}: evaluate it before it is promoted",
        )
    if chosen.region_accuracy < LEAST_REPAIRED:
        reporter.warning(
            "REGIONS_NOT_REPAIRED",
            f"the corrected classifier gets {chosen.region_accuracy:.4f} of held-out region samples right: "
            "no setting that keeps the validation accuracy repairs more; look at the labels of the regions "
            "that stay wrong, or give more train data",
        )
    points[best] = dataclasses.replace(chosen, chosen=True)
    return points, models[best]


def _points(
    model: DifferentiableModel,
    tuning: Tuning,
    measure: _Measure,
    baseline: Point,
    config: CorrectionConfig,
    seed: int,
    reporter: Reporter,
) -> Iterator[tuple[Point, Tuned]]:
    """Every lambda at the configured learning rate; all again more slowly while none kept what was known."""
    steps = tuning.steps * len(config.lambdas)
    for sweep in range(_SWEEPS):
        learning_rate = config.learning_rate * _SLOWER**sweep
        kept = False
        for number, region_weight in enumerate(config.lambdas):
            before = steps * sweep + tuning.steps * number
            tuned = fine_tune(
                model,
                tuning,
                region_weight,
                learning_rate,
                # The same batches for every lambda: the curve shows lambda, not luck.
                numpy_generator(seed, "correct/batches"),
                lambda done, before=before, sweep=sweep: reporter.progress(
                    "correct", before + done, steps * (sweep + 1), "steps"
                ),
            )
            point = measure.point(
                tuned.model,
                region_weight,
                learning_rate,
                tuning.walked_epochs,
                tuned.training_loss,
                diverged=tuned.diverged,
            )
            kept = kept or keeps(point, baseline)
            yield point, tuned
        if kept:
            return


def _lineage(files: _Files, config: CorrectionConfig, chosen: Point, seed: int) -> dict[str, str]:
    return {
        "parent_sha256": file_sha256(files.classifier),
        "dataset_sha256": file_sha256(files.dataset),
        "decoder_sha256": file_sha256(files.decoder),
        "label_set_digest": label_set_digest(config.labels),
        "lambda": repr(chosen.region_weight),
        "learning_rate": repr(chosen.learning_rate),
        "epochs": str(chosen.epochs),
        "seed": str(seed),
    }


def _parity(corrected: bytes, tuned: DifferentiableModel, resources: Resources) -> float:
    images = torch.from_numpy(resources.dataset.validation.images(slice(0, _PARITY_IMAGES)))
    inputs = apply(resources.classifier.preprocessing, images)
    return parity_max_abs_error(corrected, tuned, inputs.to(resources.runtime.device))
