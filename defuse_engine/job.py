"""One job from its folder to its result: the end of every way through the engine.

What only one kind of job needs is imported when such a job is done: scikit-learn alone takes longer to load
than an inspection to run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from defuse_engine.configs import (
    AuditConfig,
    CorrectionConfig,
    EvaluationConfig,
    RegionSplitConfig,
    VaeTrainingConfig,
)
from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.loaded import LoadedInputs, load_inputs, open_classifier, open_dataset
from defuse_engine.job_folder.job_file import Job, required
from defuse_engine.job_folder.lines import Lines
from defuse_engine.job_folder.output_files import write_json
from defuse_engine.models.device import Runtime, open_runtime

_BATCH_SIZE = 256
"""Of the kinds of job whose config names none."""


def run_job(job: Job, lines: Lines) -> None:
    """Do a job and write `output/result.json`; raises `EngineError` for every expected failure."""
    job.output.mkdir(parents=True, exist_ok=True)
    result = _JOBS.get(job.kind, _inspect)(job, lines)
    write_json(job.output / "result.json", result)
    lines.result("output/result.json")


def _audit(job: Job, lines: Lines) -> dict[str, Any]:
    from defuse_engine.audit import audit
    from defuse_engine.recipes import AUDIT_RECIPES

    config = AuditConfig.from_json(job.config)
    inputs = _load(job, lines, config.batch_size)
    return audit(job, config, AUDIT_RECIPES[config.preset], inputs, lines)


def _split_regions(job: Job, lines: Lines) -> dict[str, Any]:
    from defuse_engine.recipes import AUDIT_RECIPES
    from defuse_engine.regions.region_split import split_regions

    config = RegionSplitConfig.from_json(job.config)
    inputs = _load(job, lines, config.audit.batch_size)
    part = split_regions(job, config, AUDIT_RECIPES[config.audit.preset], inputs, lines)
    return _completed(part, lines)


def _correct(job: Job, lines: Lines) -> dict[str, Any]:
    from defuse_engine.correction.correct import correct
    from defuse_engine.recipes import CORRECTION_RECIPES

    config = CorrectionConfig.from_json(job.config)
    inputs = _load(job, lines, _BATCH_SIZE)
    return _completed(correct(job, config, CORRECTION_RECIPES[config.preset], inputs, lines), lines)


def _evaluate(job: Job, lines: Lines) -> dict[str, Any]:
    from defuse_engine.recipes import AUDIT_RECIPES
    from defuse_engine.verify.compare import compare

    config = EvaluationConfig.from_json(job.config)
    inputs = _load(job, lines, config.audit.batch_size)
    candidate = open_classifier(
        required(job.inputs.candidate), inputs.dataset, inputs.runtime, "the candidate classifier"
    )
    recipe = AUDIT_RECIPES[config.audit.preset].search
    return _completed(compare(job, config, recipe, inputs, candidate, lines), lines)


def _train_vae(job: Job, lines: Lines) -> dict[str, Any]:
    from defuse_engine.vae.train import train_vae

    config = VaeTrainingConfig.from_json(job.config)
    runtime = _open_runtime(job, lines, _BATCH_SIZE)
    dataset = open_dataset(required(job.inputs.dataset))
    classifier = open_classifier(required(job.inputs.classifier), dataset, runtime)
    return _completed(train_vae(job, config, classifier, dataset, lines), lines)


def _inspect(job: Job, lines: Lines) -> dict[str, Any]:
    from defuse_engine import inspection

    if job.config != {}:
        raise JobInvalid(f"job.config of kind {job.kind} must be empty, got {job.config!r}")
    runtime = _open_runtime(job, lines, _BATCH_SIZE)
    inputs = job.inputs
    lines.progress("inspect", 0, 1, "items")
    if inputs.classifier is not None:
        result = inspection.inspect_classifier(inputs.classifier, runtime)
        if inputs.dataset is not None:
            result |= inspection.measure_on_dataset(inputs.classifier, inputs.dataset, runtime, lines)
        result["warnings"] += lines.warnings
    elif inputs.vae is not None:
        result = inspection.inspect_vae(inputs.vae, runtime)
    else:
        dataset = required(inputs.dataset)
        result = inspection.inspect_dataset(dataset, job.folder, job.random_seed, lines)
        result["warnings"] = lines.warnings
    lines.progress("inspect", 1, 1, "items")
    return result


def _load(job: Job, lines: Lines, batch_size: int) -> LoadedInputs:
    return load_inputs(job.inputs, _open_runtime(job, lines, batch_size))


def _open_runtime(job: Job, lines: Lines, batch_size: int) -> Runtime:
    runtime = open_runtime(job.device, job.threads, batch_size)
    lines.device = runtime.device
    return runtime


def _completed(part: dict[str, Any], lines: Lines) -> dict[str, Any]:
    return {"device": lines.device, **part, "warnings": lines.warnings}


_JOBS: dict[str, Callable[[Job, Lines], dict[str, Any]]] = {
    "audit": _audit,
    "split": _split_regions,
    "correct": _correct,
    "evaluate": _evaluate,
    "train_vae": _train_vae,
}
"""All others are inspections."""
