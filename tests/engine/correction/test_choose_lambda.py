"""Of the points that a correction tried one is returned: accuracy is kept first, then most is repaired."""

import numpy as np
import pytest

from defuse_engine.correction.choose_lambda import Point, choose, contenders, holds
from defuse_engine.errors import EngineError, Reason


def point(validation, region, diverged=False, error=0.0, class_fall=0.0, weight=1.0):
    return Point(weight, 0.01, 1, validation, error, region, 0.1, diverged, worst_class_fall=class_fall)


BASELINE = Point(None, 0.0, 0, 0.90, 0.0, 0.40, 0.1, diverged=False)


def test_of_lambdas_those_that_reach_the_control_come_first():
    weak, strong = point(0.905, 0.80), point(0.901, 0.95)
    assert choose([weak, strong], BASELINE) == 1
    assert choose([weak, strong], BASELINE, point(0.909, 0.5, error=0.005)) == 0
    # Where none reaches it, what kept the baseline's accuracy is good enough.
    assert choose([weak, strong], BASELINE, point(0.95, 0.5, error=0.001)) == 1


@pytest.mark.parametrize(
    ("last", "held"),
    [((0.901, 0.98), True), ((0.8995, 0.98), False), ((0.901, 0.90), False), ((0.85, 1.0), False)],
    ids=["within the error", "costs more than the error", "regions lost", "what was known lost"],
)
def test_a_mined_point_takes_the_best_ones_place_where_it_costs_nothing(last, held):
    assert holds(point(*last, error=0.005), point(0.905, 0.97), BASELINE) is held


@pytest.mark.parametrize(
    ("points", "chosen"),
    [
        ([point(0.90, 0.70), point(0.90, 0.99)], 1),
        ([point(0.91, 0.98), point(0.90, 0.99)], 0),
        ([point(0.89, 0.99), point(0.90, 0.60)], 1),
        ([point(0.89, 0.99), point(0.895, 0.60)], 0),
        ([point(0.95, 0.99, diverged=True), point(0.90, 0.60)], 1),
        ([point(0.898, 0.99, error=0.003), point(0.90, 0.60)], 0),
        ([point(0.89, 0.99), point(0.90, 0.40)], 0),
        ([point(0.92, 0.99, class_fall=4.0), point(0.91, 0.90, class_fall=2.0)], 1),
        ([point(0.91, 0.99, weight=0.3), point(0.91, 0.98, weight=0.1), point(0.91, 1.0)], 1),
    ],
    ids=[
        "best regions",
        "alike: best validation",
        "keeping comes first",
        "best trade-off",
        "diverged never",
        "a loss within its error is none",
        "no repair, no point",
        "no class pays for the others",
        "alike in both: least weight on the regions",
    ],
)
def test_the_point_that_is_returned(points, chosen):
    assert choose(points, BASELINE) == chosen


@pytest.mark.parametrize("seed", range(50))
def test_no_model_is_given_up_that_could_still_be_returned(seed):
    rng = np.random.default_rng(seed)
    grid = rng.integers((88, 90, 0, 1), (99, 100, 5, 4), (12, 4)).tolist()
    points = [
        point(validation / 100, region / 100, broken == 0, weight=float(weight))
        for validation, region, broken, weight in grid
    ]
    alive = set()
    for count in range(1, len(points) + 1):
        left = contenders(points[:count], BASELINE)
        assert left <= alive | {count - 1}
        assert not left or choose(points[:count], BASELINE) in left
        alive = left


def test_a_model_that_another_outdoes_is_given_up():
    points = [point(0.91, 0.95), point(0.92, 0.97), point(0.90, 0.99), point(0.92, 0.97)]
    assert contenders(points, BASELINE) == {1, 2}
    assert contenders([point(0.89, 0.99), point(0.895, 0.60)], BASELINE) == {0}
    assert contenders([point(0.85, 0.99)], BASELINE) == set()


@pytest.mark.parametrize(
    "points",
    [[point(0.85, 0.99)], [point(0.89, 0.30)], [point(0.95, 0.99, diverged=True)]],
    ids=["gives up too much", "worse in both", "diverged"],
)
def test_what_a_correction_broke_is_never_returned(points):
    with pytest.raises(EngineError) as caught:
        choose(points, BASELINE)
    assert caught.value.reason is Reason.CORRECTION_DIVERGED
