"""Step 4, correct: fine-tune the classifier on its train data and on labeled regions, and choose lambda."""

from __future__ import annotations

from typing import Any

import torch

from defuse_engine.configs import CorrectionConfig
from defuse_engine.correction.choose_lambda import Point
from defuse_engine.correction.fine_tuning import Tuned, Tuning, classified_right, mean_loss
from defuse_engine.correction.labeled_regions import LabeledRegions, LabeledSamples
from defuse_engine.correction.lineage import file_sha256, label_set_digest, with_lineage
from defuse_engine.correction.measure import Measure
from defuse_engine.correction.recipe import CorrectionRecipe
from defuse_engine.correction.sweep import Sweep
from defuse_engine.errors import CorrectionFailed, Reason
from defuse_engine.inputs.loaded import LoadedInputs
from defuse_engine.job_folder.job_file import Job, required
from defuse_engine.job_folder.output_files import read_found, write_whole
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.preprocessing import apply
from defuse_engine.models.torch_form.differentiable import (
    DifferentiableModel,
    parity_max_abs_error,
    to_torch,
    write_back,
)
from defuse_engine.regions.regions_file import read_regions
from defuse_engine.run import Run, open_run
from defuse_engine.search.seeds import first_search_seeds

HELD_OUT_PER_REGION = 50
"""Samples of each region that choose the setting and are never trained on."""
_MOST_HELD_OUT = 10_000
"""In all, at eight a region or more: every point of the sweep is measured with them."""
_PARITY_IMAGES = 256
_LOSS_IMAGES = 2_000
_MOST_LISTED = 5


def correct(
    job: Job, config: CorrectionConfig, recipe: CorrectionRecipe, inputs: LoadedInputs, reporter: Reporter
) -> dict[str, Any]:
    """Sweep settings, write `corrected.onnx` and `control.onnx`; return what `result.json` gains.

    The setting is chosen on the validation split and on held-out region samples (`choose_lambda`). Raises
    NO_CONFIRMED_BUG, MODEL_NOT_DIFFERENTIABLE, or CORRECTION_DIVERGED if no setting may be returned.
    """
    labeled = LabeledRegions(config.labels, read_regions(required(job.inputs.regions)))
    labeled.check(inputs.dataset.class_count)
    _require_confirmed_bug(labeled)
    _warn_of_contradictions(labeled, reporter)
    reporter.progress("correct", 0, 0, "steps")
    original, classifier = inputs.classifier.session.model_bytes, inputs.classifier
    model = to_torch(original, classifier.output.name).to(inputs.runtime.device)
    run = open_run(job, inputs, reporter)
    held_out = labeled.draw_samples(
        run, (config.tau,), HELD_OUT_PER_REGION, "correct/held-out", _MOST_HELD_OUT
    )
    right = classified_right(model, classifier.preprocessing, inputs.dataset.validation)
    measure = Measure(inputs, held_out, right)
    seeds = first_search_seeds(run, config.audit, config.audit_seed)
    known = read_found(job.inputs.misclassifications)
    supplement = recipe.supplement(run, labeled, seeds, config.audit, known)
    tuning = _tuning(run, config, recipe, labeled, supplement.surroundings, model)
    baseline = measure.point(Tuned(model, tuning.baseline_loss, diverged=False), None, 0)
    sweep = Sweep(run, model, tuning, measure, baseline, supplement.miner)
    swept = sweep.run(config.lambdas, config.learning_rate, config.epochs)
    corrected = with_lineage(write_back(original, swept.model), _lineage(job, config, swept.chosen))
    control = write_back(original, swept.control_model)
    write_whole(job.output / "corrected.onnx", lambda stream: stream.write(corrected))
    write_whole(job.output / "control.onnx", lambda stream: stream.write(control))
    return {
        "corrected": "output/corrected.onnx",
        "control_model": "output/control.onnx",
        "config": config.to_json(),
        "baseline": baseline.to_json(),
        "control": swept.control.to_json(),
        "curve": [point.to_json() for point in swept.curve],
        "parity_max_abs_error": _parity(corrected, swept.model, inputs),
        "region_count": len(config.labels),
    }


def _require_confirmed_bug(labeled: LabeledRegions) -> None:
    if not any(labeled.is_confirmed(label) for label in labeled.labels):
        raise CorrectionFailed(
            Reason.NO_CONFIRMED_BUG,
            f"none of {len(labeled.labels)} labels differs from its region's predicted class, so there is no "
            "confirmed bug to correct. Label more regions",
            {"labels": len(labeled.labels), "regions": len(labeled.regions)},
        )


def _warn_of_contradictions(labeled: LabeledRegions, reporter: Reporter) -> None:
    pairs = labeled.contradictions()
    if pairs:
        listed = "; ".join(
            f"{a.region} is {a.label}, {b.region} is {b.label}" for a, b in pairs[:_MOST_LISTED]
        )
        reporter.warning(
            "LABELS_CONTRADICT",
            f"{len(pairs)} pairs of regions lie in one place and got different labels ({listed}"
            f"{'; ...' if len(pairs) > _MOST_LISTED else ''}). The classifier can learn only one of each "
            "pair: look at them again",
        )


def _tuning(
    run: Run,
    config: CorrectionConfig,
    recipe: CorrectionRecipe,
    labeled: LabeledRegions,
    surroundings: LabeledSamples,
    model: DifferentiableModel,
) -> Tuning:
    classifier, train = run.inputs.classifier, run.inputs.dataset.train
    taus = tuple(factor * config.tau for factor in recipe.taus)
    samples = labeled.draw_samples(run, taus, config.samples_per_region, "correct/train")
    some = run.generator("correct/baseline-loss").permutation(len(train))[:_LOSS_IMAGES]
    loss = mean_loss(
        model, classifier.preprocessing, classifier.output_kind, train.images(some), train.labels[some]
    )
    return Tuning(
        optimization=recipe.optimization,
        preprocessing=classifier.preprocessing,
        output_kind=classifier.output_kind,
        clean=train,
        pools=(samples, surroundings),
        batch_size=config.batch_size,
        baseline_loss=loss,
    )


def _lineage(job: Job, config: CorrectionConfig, chosen: Point) -> dict[str, str]:
    vae = required(job.inputs.vae)
    files = {
        "parent": required(job.inputs.classifier).file,
        "dataset": required(job.inputs.dataset).file,
        "encoder": vae.encoder,
        # Of a VAE in one file both halves are that file.
        "decoder": vae.decoder or vae.encoder,
        "audit_regions": required(job.inputs.regions),
    }
    return {
        **{f"{name}_sha256": file_sha256(path) for name, path in files.items()},
        "label_set_digest": label_set_digest(config.labels),
        "lambda": repr(chosen.region_weight),
        "learning_rate": repr(chosen.learning_rate),
        "epochs": str(chosen.epochs),
        "seed": str(job.random_seed),
    }


def _parity(corrected: bytes, tuned: DifferentiableModel, inputs: LoadedInputs) -> float:
    images = torch.from_numpy(inputs.dataset.validation.images(slice(0, _PARITY_IMAGES)))
    fed = apply(inputs.classifier.preprocessing, images)
    return parity_max_abs_error(corrected, tuned, fed.to(inputs.runtime.device))
