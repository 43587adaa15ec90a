"""Shares, and the two searches of an evaluation, whose misclassifications come in clusters."""

import math

import numpy as np
import pytest
from defuse_server.gate.statistics.search_rates import Search, rate_interval, ratio_interval
from defuse_server.gate.statistics.shares import share_interval, wilson
from hypothesis import given
from hypothesis import strategies as st

ERRORS = st.floats(1e-4, 0.4)
CANDIDATES = 20


def searches(before: list[int], after: list[int], seeds: int) -> tuple[Search, Search]:
    each = [CANDIDATES] * len(before)
    return Search(seeds * CANDIDATES, each, before), Search(seeds * CANDIDATES, each, after)


@st.composite
def found(draw: st.DrawFn) -> tuple[Search, Search, int]:
    pairs = st.tuples(st.integers(0, CANDIDATES), st.integers(0, CANDIDATES)).filter(any)
    counts = draw(st.lists(pairs, min_size=10, max_size=60).filter(lambda pairs: any(x for x, _ in pairs)))
    seeds = len(counts) + draw(st.integers(0, 3000))
    return *searches([x for x, _ in counts], [y for _, y in counts], seeds), seeds


@pytest.mark.parametrize(
    ("successes", "trials", "lower", "upper"),
    [
        # R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17,
        # 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_as_published(successes, trials, lower, upper):
    assert wilson(successes / trials, trials, 1.959964) == pytest.approx((lower, upper), abs=5e-5)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97, 0.999])
@pytest.mark.parametrize("error", [0.05, 0.0025])
@pytest.mark.parametrize("trials", [36, 200, 500])
def test_no_end_of_a_share_errs_more_often_than_it_says(share, error, trials):
    counts = range(trials + 1)
    found = [share_interval(count, trials, error) for count in counts]
    chances = [math.comb(trials, n) * share**n * (1 - share) ** (trials - n) for n in counts]
    assert sum(p for p, one in zip(chances, found, strict=True) if one.upper < share) <= error / 2
    assert sum(p for p, one in zip(chances, found, strict=True) if one.lower > share) <= error / 2


@given(st.integers(1, 10_000), st.floats(0, 1), ERRORS, ERRORS)
def test_a_share_lies_in_its_interval_and_less_error_is_wider(trials, share, one, other):
    successes = round(share * trials)
    narrow = share_interval(successes, trials, max(one, other))
    wide = share_interval(successes, trials, min(one, other))
    assert 0 <= wide.lower <= narrow.lower <= narrow.value <= narrow.upper <= wide.upper <= 1


@given(found(), ERRORS, ERRORS)
def test_ratio_and_rate_lie_in_their_intervals_and_less_error_is_wider(found, one, other):
    before, after, seeds = found
    for interval_of in (
        lambda error: ratio_interval(before, after, error),
        lambda error: rate_interval(before, after, seeds, error),
    ):
        narrow, wide = interval_of(max(one, other)), interval_of(min(one, other))
        assert 0 <= wide.lower <= narrow.lower <= narrow.value
        assert narrow.value <= narrow.upper * (1 + 1e-9)
        assert narrow.upper <= wide.upper * (1 + 1e-9)


@given(found(), ERRORS)
def test_the_searches_changed_over_give_one_over_the_ratio(found, error):
    before, after, _ = found
    if after.found:
        one, other = ratio_interval(before, after, error), ratio_interval(after, before, error)
        assert one.lower * other.upper == pytest.approx(1, rel=1e-6)
        assert one.upper * other.lower == pytest.approx(1, rel=1e-6)


def test_a_candidate_without_a_find_is_told_from_a_baseline_with_plenty():
    # Of n seeds all the baseline's, the share of the candidate's is below t^2 / n or so, as for any share.
    for seeds in (20, 100, 1000):
        interval = ratio_interval(*searches([3] * seeds, [0] * seeds, 5000), 0.05)
        assert (interval.value, interval.lower) == (0, 0)
        assert 3.8 / seeds < interval.upper < 7 / seeds


def test_a_baseline_without_a_find_has_a_ratio_that_is_surely_large():
    interval = ratio_interval(*searches([0] * 100, [2] * 100, 5000), 0.05)
    assert interval.value == interval.upper == math.inf
    assert interval.lower > 10


def test_equal_figures_are_not_taken_for_certain():
    narrow, wide = (ratio_interval(*searches([2] * seeds, [2] * seeds, 5000), 0.05) for seeds in (1000, 20))
    assert narrow.value == wide.value == 1
    assert narrow.upper - 1 == pytest.approx(2 * 3.85 / 1000, rel=0.1)
    assert wide.upper > 1.15


def test_finds_that_come_together_count_as_one():
    apart = ratio_interval(*searches([1, 0] * 200, [0, 1] * 200, 5000), 0.05)
    together = ratio_interval(*searches([10, 0] * 20, [0, 10] * 20, 5000), 0.05)
    alone = ratio_interval(*searches([1, 0] * 20, [0, 1] * 20, 5000), 0.05)
    assert together.upper > 1.5 * apart.upper
    assert together.upper == pytest.approx(alone.upper, rel=0.02)


def test_a_rate_of_nothing_found_is_bounded_by_the_number_of_seeds():
    interval = rate_interval(*searches([], [], 1000), 1000, 0.05)
    assert interval.value == interval.lower == 0
    assert interval.upper == pytest.approx(3.85 / 1000, rel=0.02)


@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize("shared", [0.0, 0.9])
@pytest.mark.parametrize("ratio", [1.25, 0.1])
@pytest.mark.parametrize(("seeds", "hit"), [(800, 0.03), (800, 0.3)])
def test_each_end_errs_hardly_more_often_than_it_says(size, shared, ratio, seeds, hit):
    """Drawn: seeds of which `hit` have finds, in clusters, `shared` of them the same for both searches."""
    rng = np.random.default_rng(5)
    below = above = 0
    draws = 300
    for _ in range(draws):
        luck = rng.random(seeds)
        own = np.where(rng.random(seeds) < shared, luck, rng.random(seeds))
        before = (luck < hit) * np.minimum(rng.geometric(1 / size, seeds), CANDIDATES)
        after = (own < hit * ratio) * np.minimum(rng.geometric(1 / size, seeds), CANDIDATES)
        kept = before + after > 0
        interval = ratio_interval(*searches(before[kept].tolist(), after[kept].tolist(), seeds), 0.05)
        below += interval.upper < ratio
        above += interval.lower > ratio
    # 2.5 % by theory: 7.5 of 300, with a standard deviation of 2.7.
    assert below <= 16
    assert above <= 16
