"""The second search of an evaluation: the same work for both classifiers, and the same again at any time."""

import json

import numpy as np
import pytest

from defuse_engine.regions.regions_file import write_regions
from defuse_engine.types import Regions

AUDIT = {"max_seeds": 600, "shard_seeds": 100}


@pytest.fixture
def evaluated(make_job, do_job, graphs):
    """Evaluate a candidate that has no bug against the analytic classifier; returns the second search."""

    def evaluate(audit, name="evaluation") -> dict[str, int]:
        folder = make_job(name=name)
        nothing = np.zeros(0, np.int64)
        none = Regions(
            weights=np.zeros(0),
            means=np.zeros((0, 2)),
            covariances=(),
            seed_labels=nothing.astype(np.int32),
            predicted_classes=nothing.astype(np.int32),
            sizes=nothing,
            member_offsets=np.zeros(1, np.int64),
            members=nothing,
            tau=0.1,
        )
        write_regions(folder / "inputs/regions.npz", none)
        (folder / "inputs/candidate.onnx").write_bytes(graphs.classifier(boundary=0.0))
        job = json.loads((folder / "job.json").read_text())
        job["kind"] = "evaluate"
        job["inputs"]["regions"] = {"file": "inputs/regions.npz"}
        job["inputs"]["candidate"] = {"file": "inputs/candidate.onnx"}
        job["config"] = {"labels": [], "audit": audit, "audit_seed": 1}
        (folder / "job.json").write_text(json.dumps(job))
        return do_job(folder)["second_search"]

    return evaluate


@pytest.mark.parametrize(
    "budget",
    [{"budget_s": 1e-6}, {"max_candidates": 1}, {"patience_shards": 1}],
    ids=lambda budget: next(iter(budget)),
)
def test_budgets_of_the_audit_play_no_part_in_it(evaluated, budget):
    # Otherwise the clock would decide what a promotion rests on.
    without = evaluated(AUDIT, "without")
    assert evaluated({**AUDIT, **budget}, "first") == without
    assert evaluated({**AUDIT, **budget}, "again") == without


def test_candidates_are_counted_for_each_classifier(evaluated):
    by_chance = evaluated({**AUDIT, "methods": ["neighbourhood"]}, "chance")
    assert by_chance["candidates_before"] == by_chance["candidates_after"] == 12 * by_chance["seeds"]
    # An ascent ends at its fourth find: how many candidates it takes depends on what there is to find.
    by_gradient = evaluated({**AUDIT, "methods": ["gradient"]}, "gradient")
    assert by_gradient["candidates_before"] != by_gradient["candidates_after"]
    assert max(by_gradient["candidates_before"], by_gradient["candidates_after"]) < 12 * by_gradient["seeds"]
    for found in (by_chance, by_gradient):
        assert found["misclassifications_before"] > 30
        assert found["misclassifications_after"] < 0.05 * found["misclassifications_before"]


def test_what_it_finds_gets_no_company(evaluated):
    second = evaluated(AUDIT)
    assert second["candidates_before"] <= 12 * second["seeds"]


def test_each_seed_with_a_misclassification_is_counted_by_itself(evaluated):
    found = evaluated({**AUDIT, "kept_per_seed": 1})
    hits = found["seed_misclassifications_before"]
    assert 10 < len(hits) < found["seeds"]
    for when in ("before", "after"):
        tried, wrong = found[f"seed_candidates_{when}"], found[f"seed_misclassifications_{when}"]
        assert len(tried) == len(wrong) == len(hits)
        assert sum(wrong) == found[f"misclassifications_{when}"]
        assert all(0 <= w <= t <= 20 for w, t in zip(wrong, tried, strict=True))
        assert sum(tried) < found[f"candidates_{when}"]
    assert all(map(any, zip(hits, found["seed_misclassifications_after"], strict=True)))
    # No bound for each seed: the audit's would hide how many a repair removes.
    assert max(hits) > 4
