"""Evaluations as the engine's figures make them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from defuse.v1.promotion_service_pb2 import (
    Check,
    ClassAccuracy,
    Evaluation,
    LabelingFigures,
    RegionAccuracy,
    SecondSearch,
    Verdict,
)
from defuse_server.gate.decide import decide
from defuse_server.gate.policy import Policy

REGION = "audits/a/regions/{}"
CLASSES = 4


def region(number: int, right: int, samples: int = 500, *, confirmed: bool = True) -> RegionAccuracy:
    return RegionAccuracy(
        region=REGION.format(number),
        label=7,
        predicted_class=1 if confirmed else 7,
        confirmed=confirmed,
        accuracy_before=0.02,
        accuracy_after=right / samples if samples else 0,
        samples=samples,
    )


def searched(before: list[int], after: list[int], seeds: int = 4000) -> SecondSearch:
    each = [20] * len(before)
    return SecondSearch(
        seed_count=seeds,
        candidates_before=20 * seeds,
        candidates_after=20 * seeds,
        misclassifications_before=sum(before),
        misclassifications_after=sum(after),
        seed_candidates_before=each,
        seed_candidates_after=each,
        seed_misclassifications_before=before,
        seed_misclassifications_after=after,
    )


@pytest.fixture
def evaluation() -> Callable[..., Evaluation]:
    """Makes an evaluation that passes the default policy, with other figures where they are given."""

    def make(
        items: int = 20_000,
        lost: dict[int, int] | None = None,
        gained: dict[int, int] | None = None,
        regions: list[RegionAccuracy] | None = None,
        search: SecondSearch | None = None,
        labeling: LabelingFigures | None = None,
    ) -> Evaluation:
        lost, gained = lost or {}, gained or {}
        right = 0.95 + (sum(gained.values()) - sum(lost.values())) / items if items else 0.0
        return Evaluation(
            test_size=items,
            test_accuracy_before=0.95,
            test_accuracy_after=right,
            classes=[
                ClassAccuracy(
                    label=label,
                    size=items // CLASSES,
                    lost_count=lost.get(label, 0),
                    gained_count=gained.get(label, 0),
                )
                for label in range(CLASSES)
            ],
            regions=[region(0, 480), region(1, 490)] if regions is None else regions,
            second_search=search or searched([4] * 200, [1] * 200),
            labeling=labeling or LabelingFigures(region_count=12, alpha=0.8, overlap_count=12),
        )

    return make


@pytest.fixture
def decided() -> Callable[..., tuple[str, dict[tuple[str, str], Check]]]:
    """Decides by a policy's text; returns the verdict's name, and the checks by name and subject."""

    def run(evaluation: Evaluation, policy: str = "", days: float = 1.0):
        verdict, checks = decide(evaluation, Policy.parse(policy), timedelta(days=days))
        return name_of(verdict), {(check.check, check.subject): check for check in checks}

    return run


def name_of(verdict: Verdict) -> str:
    return Verdict.Name(verdict).removeprefix("VERDICT_")
