"""Step 5, verify: what a candidate classifier gained and lost, on inputs that its correction never saw."""

from __future__ import annotations

from typing import Any

import numpy as np

from defuse_engine.configs import EvaluationConfig, RegionLabel
from defuse_engine.correction.labeled_regions import LabeledRegions, draw_codes
from defuse_engine.inputs.loaded import LoadedInputs
from defuse_engine.job_folder.job_file import Job, required
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.regions.regions_file import read_regions
from defuse_engine.run import Run, open_run
from defuse_engine.search.recipe import SearchRecipe
from defuse_engine.verify.second_search import second_search

_BATCH = 256
"""Samples that are images at one time."""


def compare(
    job: Job,
    config: EvaluationConfig,
    recipe: SearchRecipe,
    inputs: LoadedInputs,
    candidate: Classifier,
    reporter: Reporter,
) -> dict[str, Any]:
    """Compare `candidate` with `inputs.classifier`; return what the comparison adds to `result.json`."""
    labeled = LabeledRegions(config.labels, read_regions(required(job.inputs.regions)))
    labeled.check(inputs.dataset.class_count)
    run = open_run(job, inputs, reporter)
    return {
        **_on_test(inputs, candidate),
        "regions": [_on_region(run, label, labeled, config, candidate) for label in config.labels],
        "second_search": second_search(run, config, recipe, candidate),
    }


def _on_test(inputs: LoadedInputs, candidate: Classifier) -> dict[str, Any]:
    test, classes = inputs.dataset.test, inputs.dataset.class_count
    labels = test.labels
    before, after = (
        test.right(one.predict, one.session.batch_size) for one in (inputs.classifier, candidate)
    )
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


def _on_region(
    run: Run, label: RegionLabel, labeled: LabeledRegions, config: EvaluationConfig, candidate: Classifier
) -> dict[str, Any]:
    inputs, regions = run.inputs, labeled.regions
    # A stage that the correction does not draw from, even if both jobs have one random seed.
    rng = run.generator("verify/samples", label.region)
    codes = draw_codes(label.region, regions, (config.tau,), config.samples_per_region, rng)
    before, after = 0, 0
    # In batches: the images of all samples may not fit into memory.
    for start in range(0, len(codes), _BATCH):
        images = inputs.decoder(codes[start : start + _BATCH])
        before += int((inputs.classifier.predict(images) == label.label).sum())
        after += int((candidate.predict(images) == label.label).sum())
    return {
        "region": label.region,
        "label": label.label,
        "predicted_class": int(regions.predicted_classes[label.region]),
        "confirmed": labeled.is_confirmed(label),
        "accuracy_before": before / len(codes),
        "accuracy_after": after / len(codes),
        "samples": len(codes),
    }


def _mean(right: np.ndarray) -> float:
    return float(right.mean()) if len(right) else 0.0
