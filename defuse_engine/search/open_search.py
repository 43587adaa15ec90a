"""A search put together from what a job brought: methods, noise, judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from defuse_engine.configs import AuditConfig, MethodName
from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.search.belief import Judge
from defuse_engine.search.neighbours import Neighbours, neighbours_for
from defuse_engine.search.methods.gradient_ascents import DecodedClassifier, Gradient
from defuse_engine.search.identify import Search
from defuse_engine.search.methods.search_method import SearchMethod
from defuse_engine.search.methods.neighbourhood_noise import Neighbourhood
from defuse_engine.search.methods.paper import Paper
from defuse_engine.search.thresholds import Thresholds, set_thresholds
from defuse_engine.search.readers import Witness
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Codes

_WEIGHTS: dict[MethodName, int] = {"paper": 1, "neighbourhood": 1, "gradient": 11}
"""Shares of a seed's candidates. Steps at random find a sixteenth of what as many steps of ascents do; they
keep a share because they need no gradient, and look where none points."""
NO_THRESHOLDS = Thresholds(0.0, 0.0, 0.0, 0.0, 0.0)
"""Of a search that asks nobody."""


def latent_spread(codes: Codes) -> Float32[np.ndarray, " d"]:
    """Standard deviation of the train codes in each latent coordinate."""
    return codes.std(axis=0, dtype=np.float64).astype(np.float32)


def open_judge(
    resources: Resources, codes: Codes, config: AuditConfig, job_seed: int, reporter: Reporter
) -> tuple[Judge | None, Thresholds]:
    """Return a judge calibrated on the validation split; None for `preset: paper`, which asks nobody."""
    if config.neighbours == 0:
        return None, NO_THRESHOLDS
    dataset = resources.dataset
    count = neighbours_for(config.neighbours, len(codes), dataset.class_count)
    neighbours = Neighbours(codes, dataset.train.labels, count, resources.runtime.device)
    witness = Witness(resources, codes, job_seed, reporter)
    judge = Judge(resources.encoder, resources.decoder, neighbours, witness)
    judge.calibrate(dataset.validation, resources.classifier, numpy_generator(job_seed, "calibration"))
    return judge, set_thresholds(judge, config, reporter)


def open_search(
    resources: Resources,
    classifier: Classifier,
    codes: Codes,
    judge: Judge | None,
    thresholds: Thresholds,
    config: AuditConfig,
    job_seed: int,
    reporter: Reporter,
    *,
    stage: str = "identify",
    grows: bool = True,
) -> Search:
    """Return a search of a classifier; `codes` are those of the train split.

    Where the gradient method is asked for but a model has no gradient, it warns (GRADIENT_UNAVAILABLE) and
    gives that method's candidates to the others.
    """
    scale = config.noise_scale * latent_spread(codes)
    some = codes[: config.batch_size]
    decoded = _decoded_classifier(resources, classifier, judge, some, config, reporter)
    names: list[MethodName] = [name for name in config.methods if name != "gradient" or decoded is not None]
    if not names:
        # Only the gradient was asked for, and there is none: the search needs candidates all the same.
        names.append("neighbourhood")
    methods = tuple(
        _method(name, share, scale, decoded, config)
        for name, share in shares(config.candidates_per_seed, names).items()
        if share
    )
    return Search(
        classifier, resources.decoder, methods, judge, thresholds, scale, config, job_seed, stage, grows
    )


def shares(candidates: int, names: Sequence[MethodName]) -> dict[MethodName, int]:
    """How many of a seed's candidates each method gets; what does not divide goes to the heaviest."""
    total = sum(_WEIGHTS[name] for name in names)
    parts: dict[MethodName, int] = {name: candidates * _WEIGHTS[name] // total for name in names}
    parts[max(names, key=_WEIGHTS.__getitem__)] += candidates - sum(parts.values())
    return parts


def _method(
    name: MethodName,
    candidates: int,
    scale: Float32[np.ndarray, " d"],
    decoded: DecodedClassifier | None,
    config: AuditConfig,
) -> SearchMethod:
    if name == "paper":
        return Paper(candidates)
    if name == "gradient" and decoded is not None:
        return Gradient(candidates, scale, decoded, config.batch_size)
    return Neighbourhood(candidates, scale)


def _decoded_classifier(
    resources: Resources,
    classifier: Classifier,
    judge: Judge | None,
    codes: Codes,
    config: AuditConfig,
    reporter: Reporter,
) -> DecodedClassifier | None:
    if judge is None or "gradient" not in config.methods:
        return None
    try:
        return DecodedClassifier(resources.decoder, classifier, judge.witness, codes)
    except InvalidModel as error:
        if error.reason is not Reason.MODEL_NOT_DIFFERENTIABLE:
            raise
        reporter.warning(
            "GRADIENT_UNAVAILABLE",
            f"the search goes on without the gradient method, by random steps alone: {error.message}",
        )
        return None
