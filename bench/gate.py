"""Measures how often the gate's default policy errs, and what it can decide, by the size of the test split.

The service's gate decides on drawn evaluations. Each has a test split with ten classes, twenty confirmed
regions, and a second search whose misclassifications come in clusters. All other figures are as they should
be. Candidates of a converged classifier disagree with it about few items, those of an undertrained one about
many. Nothing is trained, so there is no control. Environment: DRAWS (default 200), SIZES (default
100,300,1000,3000,10000,30000).

`false_fail` is the largest rate, over all sizes, at which a good candidate FAILs. `false_pass` is the largest
rate at which a candidate that is worse by 2 points PASSes. `rates` also says how often all checks of a name
pass.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from defuse.v1.promotion_service_pb2 import (
    VERDICT_PASS,
    ClassAccuracy,
    Evaluation,
    LabelingFigures,
    RegionAccuracy,
    SecondSearch,
    Verdict,
)
from defuse_server.gate.decide import decide
from defuse_server.gate.policy import DEFAULT

CLASSES = 10
REGIONS = 20
SEEDS = 6000
CANDIDATES = 20
HIT_SEEDS = 0.04
"""Share of the seeds around which the baseline is wrong somewhere."""
FINDS = 4
"""Mean number of misclassifications of such a seed."""
SAME_SEEDS = 0.8
"""Share of the seeds for which both classifiers share one random draw."""
ACCURACY = 0.995
"""Of a classifier that is trained to its end, on the test split."""
UNDERTRAINED_ACCURACY = 0.95
ESTIMATED = ("clean_accuracy_change", "class_accuracy_change", "region_accuracy", "second_search")


@dataclass(frozen=True)
class Candidate:
    """The truth about one candidate."""

    name: str
    lost: float
    """Share of items that only the candidate gets wrong."""
    gained: float
    region_accuracy: float = 0.97
    search_ratio: float = 1.0
    accuracy: float = UNDERTRAINED_ACCURACY
    """The baseline's, on the test split."""


EQUAL = Candidate("equal", 0.04, 0.04)
GOOD = (
    Candidate("converged: equal", 0.002, 0.002, accuracy=ACCURACY),
    Candidate("converged: equal, regions exactly at their bound", 0.002, 0.002, 0.9, accuracy=ACCURACY),
    Candidate("identical on the test split", 0.0, 0.0, accuracy=ACCURACY),
    EQUAL,
    Candidate("equal, disagreeing less", 0.01, 0.01),
    Candidate("equal, regions exactly at their bound", 0.04, 0.04, region_accuracy=0.9),
)
WORSE = (
    Candidate(
        "converged: worse by 2 points: 2.2 % lost, 0.2 % gained",
        0.022,
        0.002,
        search_ratio=0.5,
        accuracy=ACCURACY,
    ),
    Candidate("worse by 2 points: 2 % lost", 0.02, 0.0, search_ratio=0.5, accuracy=ACCURACY),
    Candidate("worse by 2 points: 5 % lost, 3 % gained", 0.05, 0.03, search_ratio=0.5),
    Candidate("worse by 2 points: 3 % lost, 1 % gained", 0.03, 0.01, search_ratio=0.5),
)
AT_THREE_BOUNDS = Candidate("exactly at the bound of three families", 0.025, 0.015, 0.9, 1.25)
"""At the bounds of accuracy, regions and search: the hardest candidate that is still good."""


def run(device: str) -> dict[str, Any]:
    """Draw every candidate at every size and count the verdicts. `device` is not used."""
    draws = int(os.environ.get("DRAWS") or 200)
    sizes = [int(size) for size in (os.environ.get("SIZES") or "100,300,1000,3000,10000,30000").split(",")]
    rates = {
        candidate.name: {str(size): verdict_rates(candidate, size, draws) for size in sizes}
        for candidate in (*GOOD, *WORSE, AT_THREE_BOUNDS)
    }
    for name, by_size in rates.items():
        print(name)
        for size, rate in by_size.items():
            print(f"  {size:>6} items: " + "  ".join(f"{of} {share:.3f}" for of, share in rate.items()))
    return {
        "draws": draws,
        "false_fail": _largest(rates, GOOD, "FAIL"),
        "false_pass": _largest(rates, WORSE, "PASS"),
        "false_fail_at_three_bounds": _largest(rates, (AT_THREE_BOUNDS,), "FAIL"),
        "rates": rates,
    }


def _largest(
    rates: dict[str, dict[str, dict[str, float]]], candidates: tuple[Candidate, ...], verdict: str
) -> float:
    return max(rate[verdict] for candidate in candidates for rate in rates[candidate.name].values())


def verdict_rates(candidate: Candidate, size: int, draws: int) -> dict[str, float]:
    """Return how often each verdict comes, and how often all checks of a name pass, by the default policy."""
    rng = np.random.default_rng([size, *candidate.name.encode()])
    counts: dict[str, int] = dict.fromkeys(("PASS", "FAIL", "INCONCLUSIVE", *ESTIMATED), 0)
    for _ in range(draws):
        verdict, checks = decide(drawn(candidate, size, rng), DEFAULT, timedelta(days=1))
        counts[Verdict.Name(verdict).removeprefix("VERDICT_")] += 1
        for name in ESTIMATED:
            counts[name] += all(check.verdict == VERDICT_PASS for check in checks if check.check == name)
    return {name: count / draws for name, count in counts.items()}


def drawn(candidate: Candidate, size: int, rng: np.random.Generator) -> Evaluation:
    """Draw the figures of one evaluation on `size` test items."""
    classes = [_class(candidate, label, size, rng) for label in range(CLASSES)]
    gained = sum(entry.gained_count - entry.lost_count for entry in classes)
    return Evaluation(
        test_size=size,
        test_accuracy_before=candidate.accuracy,
        test_accuracy_after=candidate.accuracy + gained / size,
        classes=classes,
        regions=[_region(candidate, number, rng) for number in range(REGIONS)],
        second_search=_second_search(candidate, rng),
        labeling=LabelingFigures(region_count=REGIONS, alpha=0.9, overlap_count=REGIONS),
    )


def _class(candidate: Candidate, label: int, size: int, rng: np.random.Generator) -> ClassAccuracy:
    items = size // CLASSES + (label < size % CLASSES)
    agree = 1 - candidate.lost - candidate.gained
    lost, gained, _ = rng.multinomial(items, [candidate.lost, candidate.gained, agree])
    return ClassAccuracy(label=label, size=items, lost_count=int(lost), gained_count=int(gained))


def _region(candidate: Candidate, number: int, rng: np.random.Generator) -> RegionAccuracy:
    samples = DEFAULT.samples_per_region
    return RegionAccuracy(
        region=f"audits/bench/regions/{number}",
        label=1,
        confirmed=True,
        accuracy_after=rng.binomial(samples, candidate.region_accuracy) / samples,
        samples=samples,
    )


def _second_search(candidate: Candidate, rng: np.random.Generator) -> SecondSearch:
    luck = rng.random(SEEDS)
    own = np.where(rng.random(SEEDS) < SAME_SEEDS, luck, rng.random(SEEDS))
    before = (luck < HIT_SEEDS) * _finds(rng)
    after = (own < HIT_SEEDS * candidate.search_ratio) * _finds(rng)
    hit = before + after > 0
    each = [CANDIDATES] * int(hit.sum())
    return SecondSearch(
        seed_count=SEEDS,
        candidates_before=SEEDS * CANDIDATES,
        candidates_after=SEEDS * CANDIDATES,
        misclassifications_before=int(before.sum()),
        misclassifications_after=int(after.sum()),
        seed_candidates_before=each,
        seed_candidates_after=each,
        seed_misclassifications_before=before[hit].tolist(),
        seed_misclassifications_after=after[hit].tolist(),
    )


def _finds(rng: np.random.Generator) -> np.ndarray:
    return np.minimum(rng.geometric(1 / FINDS, SEEDS), CANDIDATES)
