"""Step 4, correct: fine-tune the classifier on its train data and on labeled regions, and choose lambda."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from defuse_engine.audit import first_search_seeds
from defuse_engine.configs import AuditConfig, CorrectionConfig, paper_config
from defuse_engine.correction import fine_tuning
from defuse_engine.correction.choose_lambda import Point
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.fine_tuning import Tuned, Tuning
from defuse_engine.correction.labeled_regions import check_labels, contradictions, draw_samples, is_confirmed
from defuse_engine.correction.lineage import file_sha256, label_set_digest, with_lineage
from defuse_engine.correction.mining import Miner
from defuse_engine.correction.surroundings import draw_surroundings, no_surroundings, vouched_seeds
from defuse_engine.correction.sweep import Measure, Sweep
from defuse_engine.errors import CorrectionFailed, JobInvalid, Reason
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.output_files import write_whole
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.torch_form.differentiable import (DifferentiableModel, parity_max_abs_error, to_torch, write_back,)
from defuse_engine.models.preprocessing import apply
from defuse_engine.regions.regions_file import read_regions
from defuse_engine.search.open_search import open_judge
from defuse_engine.search.belief import Judge
from defuse_engine.search.seeds import Seeds, encode_split
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Regions

HELD_OUT_PER_REGION = 50
"""Samples of each region that choose the setting and are never trained on."""
_TAUS = (0.3, 1.0, 3.0)
"""Times tau, in turns: the heart of a region, the region, and its surroundings."""
_PARITY_IMAGES = 256
_LOSS_IMAGES = 2_000


def run(job: Job, config: CorrectionConfig, resources: Resources, reporter: Reporter) -> dict[str, Any]:
    """Sweeps settings, writes `corrected.onnx` and `control.onnx`; returns what `result.json` gains.

    The setting is chosen on the validation split and on held-out region samples (`curve.choose`). Raises
    NO_CONFIRMED_BUG, MODEL_NOT_DIFFERENTIABLE, or CORRECTION_DIVERGED where nothing may be returned.
    """
    files = _files(job)
    regions = read_regions(files.regions)
    check_labels(config.labels, regions, resources.dataset.class_count)
    _require_confirmed_bug(config, regions)
    _warn_of_contradictions(config, regions, reporter)
    reporter.progress("correct", 0, 1, "steps")
    original = files.classifier.read_bytes()
    model = to_torch(original, resources.classifier.output.name).to(resources.runtime.device)
    held_out = draw_samples(
        config.labels,
        regions,
        resources.decoder,
        resources.classifier,
        (config.tau,),
        HELD_OUT_PER_REGION,
        job.seed,
        "correct/held-out",
    )
    right = fine_tuning.right(model, resources.classifier.preprocessing, resources.dataset.validation)
    measure = Measure(resources, held_out, right)
    codes = encode_split(resources.encoder, resources.dataset.train, reporter)
    seeds = first_search_seeds(resources, codes, config.audit, config.audit_seed)
    seeds = vouched_seeds(config.labels, regions, seeds)
    disputed = DisputedRegions(config.labels, regions)
    judging = paper_config() if config.preset == "paper" else AuditConfig()
    judge, thresholds = open_judge(resources, codes, judging, job.seed, reporter)
    tuning = _tuning(model, resources, regions, seeds, disputed, judge, config, job.seed)
    baseline = measure.point(Tuned(model, tuning.baseline_loss, diverged=False), None, 0)
    miner = judge and Miner(
        resources, codes, seeds, disputed, judge, thresholds, config.audit, job.seed, reporter
    )
    sweep = Sweep(model, original, tuning, measure, baseline, miner, job.seed, reporter)
    swept = sweep.run(config.lambdas, config.learning_rate, config.epochs)
    corrected = with_lineage(
        write_back(original, swept.model), _lineage(files, config, swept.chosen, job.seed)
    )
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
        "parity_max_abs_error": _parity(corrected, swept.model, resources),
        "region_count": len(config.labels),
    }


@dataclass(frozen=True)
class _Files:
    classifier: Path
    encoder: Path
    decoder: Path
    dataset: Path
    regions: Path


def _files(job: Job) -> _Files:
    inputs = job.inputs
    if inputs.classifier is None or inputs.vae is None or inputs.dataset is None or inputs.regions is None:
        raise JobInvalid("job.inputs of kind correct needs classifier, vae, dataset and regions")
    encoder = inputs.vae.encoder
    # Of a VAE in one file both halves are that file.
    decoder = inputs.vae.decoder or encoder
    return _Files(inputs.classifier.file, encoder, decoder, inputs.dataset.file, inputs.regions)


def _require_confirmed_bug(config: CorrectionConfig, regions: Regions) -> None:
    if not any(is_confirmed(label, regions) for label in config.labels):
        raise CorrectionFailed(
            Reason.NO_CONFIRMED_BUG,
            f"none of {len(config.labels)} labels differs from its region's predicted class: there is no "
            "confirmed bug to correct; label more regions",
            {"labels": len(config.labels), "regions": len(regions)},
        )


def _warn_of_contradictions(config: CorrectionConfig, regions: Regions, reporter: Reporter) -> None:
    pairs = contradictions(config.labels, regions)
    if pairs:
        listed = "; ".join(f"{a.region} is {a.label}, {b.region} is {b.label}" for a, b in pairs[:5])
        reporter.warning(
            "LABELS_CONTRADICT",
            f"{len(pairs)} pairs of regions lie in one place and got different labels ({listed}"
            f"{'; ...' if len(pairs) > 5 else ''}): the classifier can learn one of them at most; look at "
            "them again",
        )


def _tuning(
    model: DifferentiableModel,
    resources: Resources,
    regions: Regions,
    seeds: Seeds,
    disputed: DisputedRegions,
    judge: Judge | None,
    config: CorrectionConfig,
    seed: int,
) -> Tuning:
    classifier, train = resources.classifier, resources.dataset.train
    paper = config.preset == "paper"
    samples = draw_samples(
        config.labels,
        regions,
        resources.decoder,
        classifier,
        (config.tau,) if paper else tuple(factor * config.tau for factor in _TAUS),
        config.samples_per_region,
        seed,
        "correct/train",
    )
    surroundings = no_surroundings(train)
    if judge is not None:
        rng = numpy_generator(seed, "correct/surroundings")
        surroundings = draw_surroundings(
            seeds, disputed, resources.decoder, classifier, judge.witness, train, rng
        )
    some = numpy_generator(seed, "correct/baseline-loss").permutation(len(train))[:_LOSS_IMAGES]
    loss = fine_tuning.mean_loss(
        model, classifier.preprocessing, classifier.output_kind, train.images(some), train.labels[some]
    )
    return Tuning(
        preset=config.preset,
        preprocessing=classifier.preprocessing,
        output_kind=classifier.output_kind,
        clean=train,
        pools=(samples, surroundings),
        batch_size=config.batch_size,
        baseline_loss=loss,
    )


def _lineage(files: _Files, config: CorrectionConfig, chosen: Point, seed: int) -> dict[str, str]:
    return {
        "parent_sha256": file_sha256(files.classifier),
        "dataset_sha256": file_sha256(files.dataset),
        "encoder_sha256": file_sha256(files.encoder),
        "decoder_sha256": file_sha256(files.decoder),
        "audit_regions_sha256": file_sha256(files.regions),
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
