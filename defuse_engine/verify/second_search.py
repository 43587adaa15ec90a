"""The second search: the audit's, on the baseline and on the candidate, from seeds that no training saw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from defuse_engine.configs import EvaluationConfig
from defuse_engine.inputs.encode import encode_split
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.run import Run
from defuse_engine.search.identify import Search
from defuse_engine.search.open_search import open_search
from defuse_engine.search.recipe import SearchRecipe
from defuse_engine.search.seeds import Seeds, choose_seeds, first_search_seeds
from defuse_engine.types import TRAIN, VALIDATION, Misclassifications, concatenate

_STAGE = "verify/search"
"""Names the second search's random stream."""
_SPLIT_STEP = 1 << 48
"""More than any split has items."""


@dataclass(frozen=True)
class SeedCounts:
    """The outcome of a search around each seed; row i of both arrays is the same seed."""

    candidates: Int64[np.ndarray, " n"]
    misclassifications: Int64[np.ndarray, " n"]


def second_search(
    run: Run, config: EvaluationConfig, recipe: SearchRecipe, candidate: Classifier
) -> dict[str, Any]:
    """Search both classifiers from the same new seeds with the same noise; return what `result.json` has."""
    classifiers, seeds = (run.inputs.classifier, candidate), _new_seeds(run, config)
    for classifier in classifiers:
        # A rate per candidate compares only over seeds that both classifiers search from.
        seeds = seeds[recipe.starts_from(classifier, run.inputs.decoder, seeds)]
    # One belief model for both: what it learned of the baseline is the yardstick.
    belief_model = recipe.open_belief_model(replace(run, random_seed=config.audit_seed), config.audit)
    # Every misclassification counts here: a bound per seed would hide how many a repair removed.
    unbounded = replace(config.audit, kept_per_seed=config.audit.candidates_per_seed)
    before, after = (
        _searched(
            open_search(run, unbounded, recipe, belief_model, classifier, stage=_STAGE, shown=False),
            seeds,
            number * len(seeds),
            run.reporter,
        )
        for number, classifier in enumerate(classifiers)
    )
    return _figures(before, after)


def _searched(search: Search, seeds: Seeds, done: int, reporter: Reporter) -> SeedCounts:
    """Return the counts of one of the two searches; `done` seeds were searched from before it."""
    candidates, found = np.zeros(len(seeds), np.int64), np.zeros(len(seeds), np.int64)
    size = search.config.shard_seeds
    shards = range(search.shard_count(seeds))
    searched = search.try_shards(
        seeds, shards, lambda these: reporter.progress("verify", done + these, 2 * len(seeds), "seeds")
    )
    for shard, tried in zip(shards, searched, strict=True):
        rows = slice(shard * size, (shard + 1) * size)
        candidates[rows] = tried.seed_candidates
        found[rows] = _found_per_seed(seeds[rows], tried.found)
    return SeedCounts(candidates, found)


def _found_per_seed(seeds: Seeds, found: Misclassifications) -> Int64[np.ndarray, " n"]:
    keys = seeds.split.astype(np.int64) * _SPLIT_STEP + seeds.index
    order = np.argsort(keys)
    of_found = found.seed_split.astype(np.int64) * _SPLIT_STEP + found.seed_index
    rows = order[np.searchsorted(keys, of_found, sorter=order)]
    return np.bincount(rows, minlength=len(seeds))


def _figures(before: SeedCounts, after: SeedCounts) -> dict[str, Any]:
    """Return totals over all seeds, and the counts of the seeds with a misclassification, which are few."""
    hit = (before.misclassifications + after.misclassifications) > 0
    counts = {
        f"{name}_{when}": getattr(searched, name)
        for name in ("candidates", "misclassifications")
        for when, searched in (("before", before), ("after", after))
    }
    return {
        "seeds": len(hit),
        **{name: int(count.sum()) for name, count in counts.items()},
        **{f"seed_{name}": count[hit].tolist() for name, count in counts.items()},
    }


def _new_seeds(run: Run, config: EvaluationConfig) -> Seeds:
    """Return half validation items, half train items that the first search did not start from.

    A correction steps from items that the first search started from alone, and so from none of these.
    """
    codes, dataset = run.train_codes, run.inputs.dataset
    used = first_search_seeds(run, config.audit, config.audit_seed).index
    unused = np.setdiff1d(np.arange(len(codes)), used)
    half = max(1, (config.audit.max_seeds or len(codes)) // 2)
    if len(unused) == 0:
        run.reporter.warning(
            "NO_UNUSED_TRAIN_SEEDS",
            "the first search started from every train item, so the second starts from validation items "
            "alone",
        )
    rng = run.generator("verify/seeds")
    count = min(half, len(dataset.validation), len(unused) or half)
    rows = np.sort(rng.choice(unused, min(count, len(unused)), replace=False))
    validation_codes = encode_split(run.inputs.encoder, dataset.validation, run.reporter)
    from_validation = choose_seeds(dataset.validation, VALIDATION, validation_codes, count, rng)
    from_train = Seeds(codes[rows], rows, np.full(len(rows), TRAIN, np.uint8), dataset.train.labels[rows])
    return concatenate([from_train, from_validation])
