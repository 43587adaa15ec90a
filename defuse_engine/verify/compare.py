"""Step 5, verify: what a candidate classifier gained and lost, on inputs that its correction never saw."""

from __future__ import annotations

from typing import Any

import numpy as np

from defuse_engine.configs import EvaluationConfig, RegionLabel
from defuse_engine.correction.labeled_regions import check_labels, draw_codes, is_confirmed
from defuse_engine.errors import JobInvalid
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.regions.regions_file import read_regions
from defuse_engine.types import Regions
from defuse_engine.verify.second_search import second_search

_BATCH = 256
"""Samples that are images at one time."""


def compare(
    job: Job, config: EvaluationConfig, resources: Resources, candidate: Classifier, reporter: Reporter
) -> dict[str, Any]:
    """Compares `candidate` with `resources.classifier`; returns what the comparison adds to `result.json`."""
    if job.inputs.regions is None:
        raise JobInvalid("job.inputs of kind evaluate needs regions")
    regions = read_regions(job.inputs.regions)
    check_labels(config.labels, regions, resources.dataset.class_count)
    return {
        **_on_test(resources, candidate),
        "regions": _on_regions(job, config, resources, candidate, regions),
        "second_search": second_search(job, config, resources, candidate, reporter),
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
                "lost_count": int((before & ~after)[labels == label].sum()),
                "gained_count": int((after & ~before)[labels == label].sum()),
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
    return [_on_region(label, job, config, resources, candidate, regions) for label in config.labels]


def _on_region(
    label: RegionLabel,
    job: Job,
    config: EvaluationConfig,
    resources: Resources,
    candidate: Classifier,
    regions: Regions,
) -> dict[str, Any]:
    # A stage that the correction does not draw from, even where both jobs have one seed.
    codes = draw_codes(
        label.region, regions, (config.tau,), config.samples_per_region, job.seed, "verify/samples"
    )
    before, after = 0, 0
    # In batches: the images of all samples could be more than the memory holds.
    for start in range(0, len(codes), _BATCH):
        images = resources.decoder(codes[start : start + _BATCH])
        before += int((resources.classifier.predict(images) == label.label).sum())
        after += int((candidate.predict(images) == label.label).sum())
    return {
        "region": label.region,
        "label": label.label,
        "predicted_class": int(regions.predicted_classes[label.region]),
        "confirmed": is_confirmed(label, regions),
        "accuracy_before": before / len(codes),
        "accuracy_after": after / len(codes),
        "samples": len(codes),
    }


def _mean(right: np.ndarray) -> float:
    return float(right.mean()) if len(right) else 0.0
