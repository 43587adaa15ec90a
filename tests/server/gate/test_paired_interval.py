"""The change of an accuracy: published figures, and how often an end errs, counted exactly."""

import math

import pytest
from defuse_server.gate.statistics.paired import change_interval, mcnemar_p
from hypothesis import given
from hypothesis import strategies as st

ERRORS = st.floats(1e-6, 0.4)


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int]:
    items = draw(st.integers(1, 5000))
    lost = draw(st.integers(0, items))
    return lost, draw(st.integers(0, items - lost)), items


@pytest.mark.parametrize(
    ("lost", "gained", "items", "lower", "upper"),
    [
        # Airway hyper-responsiveness before and after stem cell transplantation (Bentur et al., 2009): the
        # example of M. W. Fagerland, S. Lydersen and P. Laake, Recommended tests and confidence intervals for
        # paired binomial proportions, Statistics in Medicine 33, 2014.
        (7, 1, 21, -0.517, -0.026),
        # Without a discordant item: z^2 / (n + z^2).
        (0, 0, 100, -0.03699, 0.03699),
    ],
)
def test_without_the_correction_it_is_tangos(lost, gained, items, lower, upper):
    found = change_interval(lost, gained, items, 0.05, correction=0)
    assert found.value == (gained - lost) / items
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=5e-4)


def test_at_no_change_it_is_mcnemars_test():
    # (|lost - gained| - 1)^2 / (lost + gained) is McNemar's statistic with its continuity correction.
    lost, gained, items = 25, 11, 400
    z = (lost - gained - 1) / math.sqrt(lost + gained)
    error = math.erfc(z / math.sqrt(2))
    assert change_interval(lost, gained, items, error, correction=1).upper == pytest.approx(0, abs=1e-9)
    assert mcnemar_p(lost, gained) == pytest.approx(error, rel=0.1)
    assert mcnemar_p(0, 0) == mcnemar_p(3, 3) == 1
    assert mcnemar_p(6, 0) == pytest.approx(2 / 2**6)


@given(tables(), ERRORS)
def test_it_holds_its_value_and_stays_within_what_is_possible(table, error):
    found = change_interval(*table, error)
    assert -1 <= found.lower <= found.value <= found.upper <= 1


@given(tables(), ERRORS, ERRORS)
def test_less_error_is_a_wider_interval(table, one, other):
    narrow, wide = change_interval(*table, max(one, other)), change_interval(*table, min(one, other))
    assert wide.lower <= narrow.lower
    assert narrow.upper <= wide.upper


@given(tables(), ERRORS)
def test_the_classifiers_changed_over_it_is_its_mirror(table, error):
    lost, gained, items = table
    one, other = change_interval(lost, gained, items, error), change_interval(gained, lost, items, error)
    assert (one.lower, one.upper) == pytest.approx((-other.upper, -other.lower), abs=1e-12)


@given(tables(), ERRORS)
def test_one_more_lost_item_never_moves_it_up(table, error):
    lost, gained, items = table
    if lost + gained < items:
        before, after = change_interval(*table, error), change_interval(lost + 1, gained, items, error)
        assert after.lower <= before.lower + 1e-12
        assert after.upper <= before.upper + 1e-12


def test_without_items_nothing_is_known():
    found = change_interval(0, 0, 0, 0.05)
    assert (found.lower, found.upper) == (-1, 1)


@pytest.mark.parametrize("items", [10, 30, 100, 250])
@pytest.mark.parametrize("error", [0.05, 0.005])
def test_each_end_errs_hardly_more_often_than_it_says(items, error):
    """All outcomes of `items` items, each with its probability: no simulation.

    Shares of lost and gained items as classifiers have them. By theory half of `error` at each end; at the
    small error, in the far tail, up to twice that.
    """
    limit = 0.6 * error if error == 0.05 else 1.0 * error
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for share_lost in (0.0005, 0.005, 0.02, 0.05, 0.1):
        for share_gained in (0.0005, 0.005, 0.02, 0.1):
            below = above = 0.0
            for lost, gained, probability in outcomes(items, share_lost, share_gained):
                if (lost, gained) not in found:
                    interval = change_interval(lost, gained, items, error)
                    found[lost, gained] = interval.lower, interval.upper
                lower, upper = found[lost, gained]
                below += probability * (upper < share_gained - share_lost)
                above += probability * (lower > share_gained - share_lost)
            assert below <= limit
            assert above <= limit


def outcomes(items: int, share_lost: float, share_gained: float):
    shares = math.log(share_lost), math.log(share_gained), math.log(1 - share_lost - share_gained)
    for lost in range(likely(items, share_lost) + 1):
        for gained in range(min(likely(items, share_gained), items - lost) + 1):
            counts = lost, gained, items - lost - gained
            ways = math.lgamma(items + 1) - sum(math.lgamma(count + 1) for count in counts)
            yield lost, gained, math.exp(ways + sum(n * s for n, s in zip(counts, shares, strict=True)))


def likely(items: int, share: float) -> int:
    return min(items, math.ceil(items * share + 8 * math.sqrt(items * share) + 8))
