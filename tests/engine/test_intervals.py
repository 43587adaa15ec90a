"""Wilson's interval of a rate."""

import pytest

from defuse_engine.intervals import wilson


@pytest.mark.parametrize(("successes", "samples"), [(8, 10), (1, 20), (50, 100)])
def test_wilsons_bounds_solve_the_score_equation(successes, samples):
    interval = wilson(successes, samples)
    for bound in (interval.lower, interval.upper):
        standard_error = (bound * (1 - bound) / samples) ** 0.5
        assert abs(interval.value - bound) == pytest.approx(1.959964 * standard_error, rel=1e-5)
    assert interval.lower < interval.value < interval.upper


def test_wilsons_interval_of_a_known_case():
    # E.g. 8 of 10, as statistics texts give it.
    assert (wilson(8, 10).lower, wilson(8, 10).upper) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(0, 20).lower == 0.0


def test_nothing_counted_is_no_knowledge():
    assert (wilson(0, 0).lower, wilson(0, 0).upper) == (0.0, 1.0)
