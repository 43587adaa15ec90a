"""The rule "default-1": which figures pass, fail, or tell too little."""

import pytest
from defuse.v1.promotion_service_pb2 import (
    VERDICT_FAIL,
    VERDICT_INCONCLUSIVE,
    VERDICT_PASS,
    Evaluation,
    RegionAccuracy,
    SecondSearch,
)
from defuse_server.gate import rule

REGION = "audits/a/regions/{}"


def evaluation(before=0.97, after=0.97, regions=((True, 0.95),), found=(100, 10), candidates=(1000, 1000)):
    return Evaluation(
        test_accuracy_before=before,
        test_accuracy_after=after,
        regions=[
            RegionAccuracy(
                region=REGION.format(number), confirmed=confirmed, accuracy_after=accuracy, samples=200
            )
            for number, (confirmed, accuracy) in enumerate(regions)
        ],
        second_search=SecondSearch(
            candidates_before=candidates[0],
            candidates_after=candidates[1],
            misclassifications_before=found[0],
            misclassifications_after=found[1],
        ),
    )


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ({}, VERDICT_PASS),
        ({"after": 0.965}, VERDICT_PASS),
        ({"after": 0.9649}, VERDICT_FAIL),
        ({"regions": [(True, 0.9)]}, VERDICT_PASS),
        ({"regions": [(True, 0.95), (True, 0.895)]}, VERDICT_FAIL),
        # A region that is no bug is no reason to refuse.
        ({"regions": [(True, 0.95), (False, 0.1)]}, VERDICT_PASS),
        ({"regions": []}, VERDICT_INCONCLUSIVE),
        ({"regions": [(False, 0.99)]}, VERDICT_INCONCLUSIVE),
        ({"found": (10, 10)}, VERDICT_FAIL),
        ({"found": (10, 9)}, VERDICT_PASS),
        # It is the rate that counts.
        ({"found": (10, 9), "candidates": (1000, 800)}, VERDICT_FAIL),
        ({"found": (0, 1)}, VERDICT_FAIL),
        ({"found": (0, 0)}, VERDICT_INCONCLUSIVE),
        ({"found": (5, 0), "candidates": (1000, 0)}, VERDICT_INCONCLUSIVE),
        # A failure outweighs what is not known.
        ({"found": (0, 0), "after": 0.5}, VERDICT_FAIL),
        ({"regions": [], "found": (1, 2)}, VERDICT_FAIL),
    ],
)
def test_the_verdict_follows_from_the_figures(figures, verdict):
    assert rule.judge(evaluation(**figures))[0] == verdict


def test_every_check_shows_its_value_its_bound_and_what_it_is_about():
    _, checks = rule.judge(evaluation(regions=[(True, 0.95), (False, 0.2), (True, 0.5)]))
    assert [(check.check, check.subject, check.verdict) for check in checks] == [
        ("clean_accuracy", "", VERDICT_PASS),
        ("region_accuracy", REGION.format(0), VERDICT_PASS),
        ("region_accuracy", REGION.format(2), VERDICT_FAIL),
        ("second_search", "", VERDICT_PASS),
    ]
    clean, _, region, search = checks
    assert (clean.value, clean.bound) == (0.0, -0.005)
    assert (region.value, region.bound) == (0.5, 0.9)
    assert (search.value, search.bound) == (0.01, 0.1)
    assert all(check.explanation for check in checks)


def test_a_fall_of_exactly_the_bound_passes_whatever_the_last_bit():
    for correct in range(100, 1000):
        figures = evaluation(before=correct / 1000, after=(correct - 5) / 1000)
        assert rule.judge(figures)[0] == VERDICT_PASS
