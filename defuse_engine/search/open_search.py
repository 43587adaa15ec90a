"""A search put together for one classifier: its methods, its noise, its belief model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from defuse_engine.configs import AuditConfig, MethodName
from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.run import Run
from defuse_engine.search.belief import BeliefModel
from defuse_engine.search.identify import Search
from defuse_engine.search.methods.gradient_ascents import DecodedClassifier, GradientAscents
from defuse_engine.search.methods.random_steps import neighbourhood_noise, paper_noise
from defuse_engine.search.methods.search_method import SearchMethod
from defuse_engine.search.readers import Readers
from defuse_engine.search.recipe import SearchRecipe

_WEIGHTS: dict[MethodName, int] = {"paper": 1, "neighbourhood": 1, "gradient": 11}
"""Shares of a seed's candidates. Random steps find a sixteenth of what as many steps of ascents do. They keep
a share because they need no gradient, and look where none points."""


def open_search(
    run: Run,
    config: AuditConfig,
    recipe: SearchRecipe,
    belief_model: BeliefModel,
    classifier: Classifier | None = None,
    *,
    stage: str = "identify",
    shown: bool = True,
) -> Search:
    """Return a search of `classifier`; None is the classifier under audit.

    `shown` tells whether people will see what it finds. Otherwise, as it only counts candidates or mines
    examples, it does without growth and without the held-out readers' last word.

    If the gradient method is asked for but a model has no gradient, it warns (GRADIENT_UNAVAILABLE) and gives
    that method's candidates to the others.
    """
    classifier = classifier or run.inputs.classifier
    scale = config.noise_scale * run.latent_spread
    openers: dict[MethodName, Callable[[int], SearchMethod]] = {
        "paper": paper_noise,
        "neighbourhood": lambda candidates: neighbourhood_noise(candidates, scale),
    }
    if "gradient" in config.methods and belief_model.readers is not None:
        decoded = _decoded_classifier(run, classifier, belief_model.readers, config)
        if decoded is not None:
            openers["gradient"] = lambda candidates: GradientAscents(
                candidates, scale, decoded, config.batch_size
            )
    # If only the gradient was asked for, and there is none, the search still needs candidates.
    names: list[MethodName] = [name for name in config.methods if name in openers] or ["neighbourhood"]
    methods = tuple(
        openers[name](candidates)
        for name, candidates in shares(config.candidates_per_seed, names).items()
        if candidates
    )
    return Search(
        classifier,
        run.inputs.decoder,
        methods,
        belief_model,
        recipe,
        scale,
        config,
        run.random_seed,
        stage,
        belief_model.open_last_word(run) if shown else None,
        shown,
    )


def shares(candidates: int, names: Sequence[MethodName]) -> dict[MethodName, int]:
    """Return how many of a seed's candidates each method gets; the remainder goes to the heaviest."""
    total = sum(_WEIGHTS[name] for name in names)
    parts: dict[MethodName, int] = {name: candidates * _WEIGHTS[name] // total for name in names}
    parts[max(names, key=_WEIGHTS.__getitem__)] += candidates - sum(parts.values())
    return parts


def _decoded_classifier(
    run: Run, classifier: Classifier, readers: Readers, config: AuditConfig
) -> DecodedClassifier | None:
    some = run.train_codes[: config.batch_size]
    try:
        return DecodedClassifier(run.inputs.decoder, classifier, readers, some)
    except InvalidModel as error:
        if error.reason is not Reason.MODEL_NOT_DIFFERENTIABLE:
            raise
        run.reporter.warning(
            "GRADIENT_UNAVAILABLE",
            f"the search goes on without the gradient method, by random steps alone: {error.message}",
        )
        return None
