"""A job of kind `train_vae`: from a classifier and a dataset to a VAE that the classifier can read."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from defuse_engine.configs import VaeTrainingConfig
from defuse_engine.errors import InvalidDataset, Reason
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.preflight.likely_cause import warn_of_doubtful_preprocessing
from defuse_engine.preflight.readability import SampleReaders
from defuse_engine.random_streams import numpy_generator
from defuse_engine.vae import choose_setting, report
from defuse_engine.vae.budget import Budget
from defuse_engine.vae.choose_setting import Measured, Milestone, Trained
from defuse_engine.vae.export import export_vae
from defuse_engine.vae.features import train_features
from defuse_engine.vae.loss import Scales, Setting, measure_scales
from defuse_engine.vae.networks import Vae, Values
from defuse_engine.vae.readers import independent_readers, sample
from defuse_engine.vae.training import Material, Training

STAGE = "train"
_TRIAL_ENDS = (0.2, 0.35)
"""Share of the budget that is spent when each round of trials ends."""
_LEAST_TRIAL_STEPS = 100
_PACE_STEPS = 20
"""Steps after which it is known how many the budget allows."""
_MILESTONES = 5
"""How often the chosen setting is measured during the rest of its training."""
_TRIAL_SAMPLE = 2000
_FINAL_SAMPLE = 10_000
_VALUES_SAMPLE = 4096
_SCALES_SAMPLE = 512
_SAMPLE_BYTES = 1 << 28
_SCALES_BYTES = 1 << 24
"""Activations may take a hundred times the memory of their images."""
ENCODER, DECODER = "output/encoder.onnx", "output/decoder.onnx"


def train_vae(
    job: Job, config: VaeTrainingConfig, classifier: Classifier, dataset: Dataset, reporter: Reporter
) -> dict[str, Any]:
    """Do a training; write the files into the job folder, return the object of `result.json`.

    Raises DATASET_CONSTANT, PREFLIGHT_CLASSIFIER_ACCURACY and VAE_TRAINING_DIVERGED.
    """
    folder, random_seed, runtime = job.folder, job.random_seed, classifier.session.runtime
    values = measure_values(dataset, numpy_generator(random_seed, "vae-values"))
    order = numpy_generator(random_seed, "vae-validation")
    split = dataset.validation
    rows = sample(split, _TRIAL_SAMPLE, _SAMPLE_BYTES, order)
    independent = independent_readers(dataset, runtime, random_seed, reporter)
    # Before anything is trained: a wrong preprocessing is known within seconds.
    readers = SampleReaders(classifier, independent, split.images(rows), split.labels[rows])
    warn_of_doubtful_preprocessing(classifier, readers.images, readers.labels, readers.outputs, reporter)
    # This trains the independent readers, before the clock starts: they take as long whatever the budget is.
    readers.warn_of_unable(reporter)
    budget = Budget(config.budget_s, config.max_steps)
    reporter.progress(STAGE, 0, max(1, config.max_steps), "steps")
    features = train_features(
        dataset, runtime, random_seed, lambda done, total: reporter.progress(STAGE, done, total, "steps")
    )
    material = Material(
        train=dataset.train,
        image_shape=dataset.image_shape,
        values=values,
        features=features,
        scales=_scales(dataset, features, runtime, numpy_generator(random_seed, "vae-scales")),
        runtime=runtime,
        random_seed=random_seed,
    )
    settings = choose_setting.settings(config.latent_sizes, dataset.image_shape)
    trained = train(settings, material, readers, budget, reporter)
    export_vae(trained.vae, folder / ENCODER, folder / DECODER)
    rows = sample(split, _FINAL_SAMPLE, _SAMPLE_BYTES, order)
    final = report.measure_files(
        folder,
        ENCODER,
        DECODER,
        SampleReaders(classifier, independent, split.images(rows), split.labels[rows]),
    )
    report.warn(final, trained, dataset, config, reporter)
    reporter.progress(STAGE, budget.steps, budget.steps, "steps")
    return {
        "points": [report.point(one, one.setting == trained.chosen) for one in trained.points],
        "milestones": [one.to_json() for one in trained.milestones],
        **report.readability_figures(final),
        "encoder": ENCODER,
        "decoder": DECODER,
        "latent_size": trained.chosen.latent_size,
        "reconstruction_sheet": report.reconstruction_sheet(folder, final, values),
        "prior_sheet": report.prior_sheet(folder, trained.vae, values, random_seed),
        "config": config.to_json(),
    }


def train(
    settings: list[Setting], material: Material, readers: SampleReaders, budget: Budget, reporter: Reporter
) -> Trained:
    """Try settings, choose, and spend the rest of the budget on the chosen one.

    On a slow machine, or with little time, fewer settings are tried. After a handful of steps a setting says
    nothing about what it would become.
    """
    trainings = {settings[0]: Training(settings[0], material)}
    while budget.steps < _PACE_STEPS and budget.spent < 1.0:
        trainings[settings[0]].step(1.0)
        _count(budget, reporter)
    affordable = int(budget.estimated_steps * _TRIAL_ENDS[0] / _LEAST_TRIAL_STEPS)
    settings = settings[: max(1, affordable)]
    shares = [_TRIAL_ENDS[0] / len(settings), (_TRIAL_ENDS[1] - _TRIAL_ENDS[0]) / max(1, len(settings) // 2)]

    def trial(setting: Setting, number: int) -> Measured:
        training = trainings.get(setting) or trainings.setdefault(setting, Training(setting, material))
        start = budget.spent
        for _ in _until(start + shares[number], budget, reporter):
            training.step(1.0)
        return measure(training, readers)

    rounds = len(_TRIAL_ENDS) if len(settings) > 1 else 1
    chosen, points = choose_setting.halve(settings, rounds, trial)
    training = trainings.pop(chosen)
    trainings.clear()  # frees the weights of those that lost
    last, vae, milestones = _finish(training, readers, budget, reporter)
    return Trained(vae, [last if point.setting == chosen else point for point in points], chosen, milestones)


def measure(training: Training, readers: SampleReaders) -> Measured:
    """Measure a setting as it stands, on the readers' sample."""
    reconstructions = training.reconstruct(readers.images)
    read = readers.read(reconstructions)
    return Measured(
        setting=training.setting,
        right=read.right_to_all,
        readability=read.worst.value,
        reconstruction_mse=float(np.mean((reconstructions - readers.images) ** 2, dtype=np.float64)),
        divergence=training.divergence(readers.images),
        steps=training.steps,
    )


def measure_values(dataset: Dataset, rng: np.random.Generator) -> Values:
    """Measure range, mean and deviation of the train split's values.

    Raises DATASET_CONSTANT if all values are the same: there is nothing to learn.
    """
    pixels = dataset.train.pixels
    unit = 255.0 if pixels.dtype == np.uint8 else 1.0
    low, high = float(pixels.min()) / unit, float(pixels.max()) / unit
    if not high > low:
        raise InvalidDataset(
            Reason.DATASET_CONSTANT,
            f"every pixel of the train split is {low:g}, so a VAE has nothing to learn. Check how the "
            "dataset was made",
            {"value": low},
        )
    images = dataset.train.images(sample(dataset.train, _VALUES_SAMPLE, _SAMPLE_BYTES, rng))
    std = float(images.std(dtype=np.float64))
    return Values(low, high, float(images.mean(dtype=np.float64)), max(std, 1e-3 * (high - low)))


def _finish(
    training: Training, readers: SampleReaders, budget: Budget, reporter: Reporter
) -> tuple[Measured, Vae, list[Milestone]]:
    """Train on while the rate falls by half a cosine.

    The last state counts, unless an earlier one read clearly more.
    """
    start = budget.spent
    best = measure(training, readers)
    milestones = [Milestone(min(1.0, start), best.readability)]
    vae = copy.deepcopy(training.average)
    for milestone in range(1, _MILESTONES + 1):
        for spent in _until(start + (1 - start) * milestone / _MILESTONES, budget, reporter):
            training.step(0.5 * (1 + math.cos(math.pi * (spent - start) / max(1e-9, 1 - start))))
        now = measure(training, readers)
        milestones.append(Milestone(budget.spent, now.readability))
        if not choose_setting.clearly_worse(now.right, best.right):
            best, vae = now, copy.deepcopy(training.average)
    return best, vae, milestones


def _until(share: float, budget: Budget, reporter: Reporter) -> Iterator[float]:
    """Give the spent share before each step until it reaches `share`."""
    while (spent := budget.spent) < min(1.0, share) - 1e-9:
        yield spent
        _count(budget, reporter)


def _count(budget: Budget, reporter: Reporter) -> None:
    budget.count()
    reporter.progress(STAGE, budget.steps, max(budget.steps + 1, budget.estimated_steps), "steps")


def _scales(
    dataset: Dataset, features: torch.nn.Module, runtime: Runtime, rng: np.random.Generator
) -> Scales:
    rows = sample(dataset.train, _SCALES_SAMPLE, _SCALES_BYTES, rng)
    images = torch.from_numpy(dataset.train.images(rows)).to(runtime.device)
    with torch.no_grad():
        return measure_scales(images, features(images))
