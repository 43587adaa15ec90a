"""Step 5, verify: what a candidate classifier gained and lost, on inputs that its correction never saw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from defuse_engine.audit import first_search_seeds
from defuse_engine.configs import EvaluationConfig
from defuse_engine.correction.labeled_regions import check_labels, draw_samples, is_confirmed
from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.resources import Resources
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.regions.regions_file import read_regions
from defuse_engine.search.assembly import open_judge, open_search
from defuse_engine.search.identify import classify_codes
from defuse_engine.search.seeds import Seeds, choose_seeds, encode_split
from defuse_engine.seeding import numpy_generator
from defuse_engine.types import TRAIN, VALIDATION, Codes, Labels, Regions

_STAGE = "verify/search"
"""Names the second search's random stream."""


@dataclass(frozen=True)
class _Rates:
    seeds: int
    candidates_before: int
    candidates_after: int
    before: int
    after: int


def run(
    job: Job, config: EvaluationConfig, resources: Resources, candidate: Classifier, reporter: Reporter
) -> dict[str, Any]:
    """Compares `candidate` with `resources.classifier`; returns what the comparison adds to `result.json`."""
    if job.inputs.regions is None:
        raise JobInvalid("job.inputs of kind evaluate needs regions")
    regions = read_regions(job.inputs.regions)
    check_labels(config.labels, regions, resources.dataset.class_count)
    found = _second_search(job, config, resources, candidate, reporter)
    return {
        **_on_test(resources, candidate),
        "regions": _on_regions(job, config, resources, candidate, regions) if config.labels else [],
        "second_search": {
            "seeds": found.seeds,
            "candidates_before": found.candidates_before,
            "candidates_after": found.candidates_after,
            "misclassifications_before": found.before,
            "misclassifications_after": found.after,
        },
    }


def _on_test(resources: Resources, candidate: Classifier) -> dict[str, Any]:
    test, classes = resources.dataset.test, resources.dataset.class_count
    labels = test.labels
    before = _right(resources.classifier, resources)
    after = _right(candidate, resources)
    return {
        "test_size": len(test),
        "test_accuracy_before": float(before.mean()),
        "test_accuracy_after": float(after.mean()),
        "per_class": [
            {
                "label": label,
                "size": int((labels == label).sum()),
                "accuracy_before": _mean(before[labels == label]),
                "accuracy_after": _mean(after[labels == label]),
            }
            for label in range(classes)
        ],
    }


def _right(classifier: Classifier, resources: Resources) -> np.ndarray:
    test = resources.dataset.test
    parts = [
        classifier.predict(images) == test.labels[chosen]
        for chosen, images in test.batches(np.arange(len(test)), classifier.batch_size)
    ]
    return np.concatenate(parts)


def _on_regions(
    job: Job, config: EvaluationConfig, resources: Resources, candidate: Classifier, regions: Regions
) -> list[dict[str, Any]]:
    # A stage that the correction does not draw from, even where both jobs have one seed.
    samples = draw_samples(
        config.labels,
        regions,
        resources.decoder,
        (config.tau,),
        config.samples_per_region,
        job.seed,
        "verify/samples",
    )
    before = resources.classifier.predict(samples.images) == samples.labels
    after = candidate.predict(samples.images) == samples.labels
    return [
        {
            "region": label.region,
            "label": label.label,
            "predicted_class": int(regions.predicted_classes[label.region]),
            "confirmed": is_confirmed(label, regions),
            "accuracy_before": _mean(before[samples.regions == label.region]),
            "accuracy_after": _mean(after[samples.regions == label.region]),
            "samples": config.samples_per_region,
        }
        for label in config.labels
    ]


def _mean(right: np.ndarray) -> float:
    return float(right.mean()) if len(right) else 0.0


def _second_search(
    job: Job, config: EvaluationConfig, resources: Resources, candidate: Classifier, reporter: Reporter
) -> _Rates:
    """Searches the baseline and the candidate from the same new seeds with the same noise."""
    audit = config.audit
    codes = encode_split(resources.encoder, resources.dataset.train, reporter)
    seeds = _new_seeds(job, config, resources, codes, reporter)
    if audit.preset != "paper":
        # A rate per candidate compares only over seeds that both classifiers search from.
        seeds = seeds[_readable(seeds, resources, resources.classifier)]
        seeds = seeds[_readable(seeds, resources, candidate)]
    # One judge for both: what it learned of the baseline is the yardstick.
    judge, bars = open_judge(resources, codes, audit, config.audit_seed, reporter)
    # Every misclassification counts here: a bound per seed would hide how many a repair removed.
    unbounded = replace(audit, kept_per_seed=audit.candidates_per_seed)
    counts: list[tuple[int, int]] = []
    for number, classifier in enumerate((resources.classifier, candidate)):
        search = open_search(
            resources,
            classifier,
            codes,
            judge,
            bars,
            unbounded,
            job.seed,
            reporter,
            stage=_STAGE,
            grows=False,
        )
        found = candidates = 0
        for shard in range(search.shard_count(seeds)):
            chunk = search.run_shard(seeds, shard)
            found += len(chunk.misclassifications)
            candidates += chunk.candidates
            done = number * len(seeds) + min((shard + 1) * audit.shard_seeds, len(seeds))
            reporter.progress("verify", done, 2 * len(seeds), "seeds")
        counts.append((candidates, found))
    (candidates_before, before), (candidates_after, after) = counts
    return _Rates(len(seeds), candidates_before, candidates_after, before, after)


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


def _readable(seeds: Seeds, resources: Resources, classifier: Classifier) -> np.ndarray:
    """Which seeds' unperturbed reconstructions are classified correctly."""
    if len(seeds) == 0:
        return np.zeros(0, bool)
    predicted, _ = classify_codes(resources.decoder, classifier, seeds.codes)
    return predicted == seeds.labels
