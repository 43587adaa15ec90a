"""The audit's search once more, on the baseline and on the candidate, from seeds that no training saw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from defuse_engine.audit import first_search_seeds
from defuse_engine.configs import EvaluationConfig
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.search.open_search import open_judge, open_search
from defuse_engine.search.identify import Search, reads
from defuse_engine.search.seeds import Seeds, choose_seeds, encode_split
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import TRAIN, VALIDATION, Codes, Labels, Misclassifications

_STAGE = "verify/search"
"""Names the second search's random stream."""
_SPLIT_STEP = 1 << 48
"""More than any split has items."""


@dataclass(frozen=True)
class SeedCounts:
    """What a search gave around each seed; row i of both arrays is the same seed."""

    candidates: Int64[np.ndarray, " n"]
    misclassifications: Int64[np.ndarray, " n"]


def second_search(
    job: Job, config: EvaluationConfig, resources: Resources, candidate: Classifier, reporter: Reporter
) -> dict[str, Any]:
    """Search both classifiers from the same new seeds with the same noise; as `result.json` has it."""
    audit = config.audit
    codes = encode_split(resources.encoder, resources.dataset.train, reporter)
    seeds = _new_seeds(job, config, resources, codes, reporter)
    if audit.preset != "paper":
        # A rate per candidate compares only over seeds that both classifiers search from.
        seeds = seeds[reads(resources.classifier, resources.decoder, seeds)]
        seeds = seeds[reads(candidate, resources.decoder, seeds)]
    # One judge for both: what it learned of the baseline is the yardstick.
    judge, thresholds = open_judge(resources, codes, audit, config.audit_seed, reporter)
    # Every misclassification counts here: a bound per seed would hide how many a repair removed.
    unbounded = replace(audit, kept_per_seed=audit.candidates_per_seed)
    before, after = (
        _searched(
            open_search(
                resources,
                classifier,
                codes,
                judge,
                thresholds,
                unbounded,
                job.seed,
                reporter,
                stage=_STAGE,
                grows=False,
            ),
            seeds,
            number * len(seeds),
            reporter,
        )
        for number, classifier in enumerate((resources.classifier, candidate))
    )
    return _figures(before, after)


def _searched(search: Search, seeds: Seeds, done: int, reporter: Reporter) -> SeedCounts:
    """The counts of one of the two searches; `done` seeds were searched from before it."""
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
    """Totals over all seeds, and each seed with a misclassification: they are few, the others add nothing."""
    hit = (before.misclassifications + after.misclassifications) > 0
    counts = (("before", before), ("after", after))
    return {
        "seeds": len(hit),
        **{f"candidates_{when}": int(count.candidates.sum()) for when, count in counts},
        **{f"misclassifications_{when}": int(count.misclassifications.sum()) for when, count in counts},
        **{f"seed_candidates_{when}": count.candidates[hit].tolist() for when, count in counts},
        **{
            f"seed_misclassifications_{when}": count.misclassifications[hit].tolist()
            for when, count in counts
        },
    }


def _new_seeds(
    job: Job, config: EvaluationConfig, resources: Resources, codes: Codes, reporter: Reporter
) -> Seeds:
    """Half validation items, half train items that the first search did not start from.

    A correction steps from items that the first search started from alone, and so from none of these.
    """
    used = first_search_seeds(resources, codes, config.audit, config.audit_seed).index
    unused = np.setdiff1d(np.arange(len(codes)), used)
    validation = resources.dataset.validation
    half = max(1, (config.audit.max_seeds or len(codes)) // 2)
    if len(unused) == 0:
        reporter.warning(
            "NO_UNUSED_TRAIN_SEEDS",
            "the first search started from every train item: the second starts from validation items alone",
        )
    rng = numpy_generator(job.seed, "verify/seeds")
    count = min(half, len(validation), len(unused) or half)
    train_rows = np.sort(rng.choice(unused, min(count, len(unused)), replace=False))
    validation_codes = encode_split(resources.encoder, validation, reporter)
    from_validation = choose_seeds(validation, VALIDATION, validation_codes, count, rng)
    return _joined(
        Seeds(
            codes[train_rows],
            train_rows,
            np.full(len(train_rows), TRAIN, np.uint8),
            _labels(resources, train_rows),
        ),
        from_validation,
    )


def _labels(resources: Resources, train_rows: np.ndarray) -> Labels:
    return resources.dataset.train.labels[train_rows]


def _joined(first: Seeds, second: Seeds) -> Seeds:
    return Seeds(
        np.concatenate([first.codes, second.codes]),
        np.concatenate([first.index, second.index]),
        np.concatenate([first.split, second.split]),
        np.concatenate([first.labels, second.labels]),
    )
