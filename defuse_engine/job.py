"""One job from its folder to its result: the end of every way through the engine.

What only one kind of job needs is imported when such a job is done: scikit-learn alone takes longer to load
than an inspection to run.
"""

from __future__ import annotations

from typing import Any

from defuse_engine.configs import (
    AuditConfig,
    CorrectionConfig,
    EvaluationConfig,
    SplitConfig,
    VaeTrainingConfig,
)
from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.loaded import open_classifier, open_dataset, open_resources
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.lines import Lines
from defuse_engine.job_folder.output_files import write_json
from defuse_engine.models.device import Runtime, open_runtime

_BATCH_SIZE = 256
"""Of inspections and evaluations, whose configs name none."""


def run_job(job: Job, lines: Lines) -> None:
    """Do a job and write `output/result.json`; raises EngineError for every expected failure."""
    job.output.mkdir(parents=True, exist_ok=True)
    result = _run(job, lines)
    write_json(job.output / "result.json", result)
    lines.result("output/result.json")


def _run(job: Job, lines: Lines) -> dict[str, Any]:
    match job.kind:
        case "audit":
            return _audit(job, AuditConfig.from_json(job.config), lines)
        case "split":
            return _split(job, SplitConfig.from_json(job.config), lines)
        case "correct":
            return _correct(job, CorrectionConfig.from_json(job.config), lines)
        case "evaluate":
            return _evaluate(job, EvaluationConfig.from_json(job.config), lines)
        case "train_vae":
            return _train_vae(job, VaeTrainingConfig.from_json(job.config), lines)
        case _:
            return _inspect(job, lines)


def _audit(job: Job, config: AuditConfig, lines: Lines) -> dict[str, Any]:
    from defuse_engine import audit

    runtime = _open_runtime(job, lines, config.batch_size)
    return audit.run(job, config, open_resources(job.inputs, runtime), lines)


def _split(job: Job, config: SplitConfig, lines: Lines) -> dict[str, Any]:
    from defuse_engine.regions import region_split

    runtime = _open_runtime(job, lines, config.audit.batch_size)
    part = region_split.run(job, config, open_resources(job.inputs, runtime), lines)
    return {"device": runtime.device, **part, "warnings": lines.warnings}


def _correct(job: Job, config: CorrectionConfig, lines: Lines) -> dict[str, Any]:
    from defuse_engine.correction import correct

    runtime = _open_runtime(job, lines, _BATCH_SIZE)
    part = correct.run(job, config, open_resources(job.inputs, runtime), lines)
    return {"device": runtime.device, **part, "warnings": lines.warnings}


def _evaluate(job: Job, config: EvaluationConfig, lines: Lines) -> dict[str, Any]:
    from defuse_engine.verify.compare import compare

    runtime = _open_runtime(job, lines, config.audit.batch_size)
    resources = open_resources(job.inputs, runtime)
    if job.inputs.candidate is None:
        raise JobInvalid("job.inputs of kind evaluate needs candidate")
    candidate = open_classifier(job.inputs.candidate, resources.dataset, runtime, "the candidate classifier")
    part = compare(job, config, resources, candidate, lines)
    return {"device": runtime.device, **part, "warnings": lines.warnings}


def _train_vae(job: Job, config: VaeTrainingConfig, lines: Lines) -> dict[str, Any]:
    from defuse_engine.vae import train

    runtime = _open_runtime(job, lines, _BATCH_SIZE)
    if job.inputs.classifier is None or job.inputs.dataset is None:
        raise JobInvalid("job.inputs of kind train_vae needs classifier and dataset")
    dataset = open_dataset(job.inputs.dataset)
    classifier = open_classifier(job.inputs.classifier, dataset, runtime)
    model_bytes = job.inputs.classifier.file.read_bytes()
    part = train.run(job.folder, config, model_bytes, classifier, dataset, runtime, job.seed, lines)
    return {"device": runtime.device, **part, "warnings": lines.warnings}


def _inspect(job: Job, lines: Lines) -> dict[str, Any]:
    from defuse_engine import inspection

    if job.config != {}:
        raise JobInvalid(f"job.config of kind {job.kind} must be empty, got {job.config!r}")
    runtime = _open_runtime(job, lines, _BATCH_SIZE)
    inputs = job.inputs
    lines.progress("inspect", 0, 1, "items")
    if inputs.classifier is not None:
        result = inspection.inspect_classifier(inputs.classifier, runtime)
    elif inputs.vae is not None:
        result = inspection.inspect_vae(inputs.vae, runtime)
    elif inputs.dataset is not None:
        result = inspection.inspect_dataset(inputs.dataset)
    else:
        raise JobInvalid(f"job.inputs of kind {job.kind} names no resource")
    lines.progress("inspect", 1, 1, "items")
    return result


def _open_runtime(job: Job, lines: Lines, batch_size: int) -> Runtime:
    runtime = open_runtime(job.device, job.threads, batch_size)
    lines.device = runtime.device
    return runtime
