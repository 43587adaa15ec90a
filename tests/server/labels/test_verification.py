"""A sample that people answer bounds how many of the readers' proposals are wrong."""

import math

import pytest
from defuse_server.labels.hypergeometric import ERROR, at_most, most_marked
from defuse_server.labels.verification import MOST_WRONG, random_order, verification
from scipy.stats import hypergeom


@pytest.mark.parametrize(
    ("population", "marked", "sample"), [(57, 3, 44), (178, 20, 69), (10, 10, 4), (5, 0, 5)]
)
def test_the_probability_is_that_of_the_hypergeometric_distribution(population, marked, sample):
    for found in range(sample + 1):
        expected = hypergeom(population, marked, sample).cdf(found)
        assert at_most(found, population, marked, sample) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("population", "sample"), [(57, 20), (57, 44), (178, 69), (8, 8), (8, 0)])
def test_the_bound_is_the_largest_number_that_is_not_refuted(population, sample):
    for found in range(min(sample, 6) + 1):
        most = most_marked(found, population, sample)
        possible = range(found, found + population - sample + 1)
        assert most == max(m for m in possible if hypergeom(population, m, sample).cdf(found) > ERROR)


def test_nothing_is_known_without_an_answer():
    found = verification(range(100), {})
    assert (found.sample, found.wrong, found.bound, found.verified) == (0, 0, 1.0, False)


def test_right_answers_verify_once_the_bound_is_small_enough():
    needed = len(verification(range(178), {}).missing)
    assert needed == 69
    for answered in (needed - 1, needed):
        found = verification(range(178), dict.fromkeys(range(answered), False))
        assert found.verified == (answered == needed) == (found.bound <= MOST_WRONG)
        assert len(found.missing) == needed - answered


def test_a_wrong_answer_takes_more_answers():
    right = dict.fromkeys(range(69), False)
    found = verification(range(178), {**right, 40: True})
    assert not found.verified
    assert found.wrong == 1
    assert found.missing == tuple(range(69, 69 + len(found.missing)))
    assert len(found.missing) > 10


def test_many_wrong_answers_leave_nothing_to_verify():
    found = verification(range(100), dict.fromkeys(range(50), True))
    assert not found.verified
    assert len(found.missing) > 40


def test_the_sample_ends_at_the_first_bug_without_an_answer():
    answered = {number: False for number in range(178) if number != 3}
    found = verification(range(178), answered)
    assert (found.sample, found.missing, found.verified) == (3, (3,), False)


def test_answers_that_came_in_another_order_are_counted_when_the_sample_reaches_them():
    found = verification(range(178), dict.fromkeys(range(0, 178, 2), False))
    assert found.sample == 1
    assert found.missing == tuple(range(1, 69, 2))


def test_if_every_bug_is_answered_nothing_is_left_to_be_wrong():
    assert verification(range(5), dict.fromkeys(range(5), True)).bound == 0


def test_readers_that_are_often_wrong_are_not_verified_by_answering_nearly_everything():
    found = verification(range(60), {number: number % 2 == 0 for number in range(59)})
    assert found.bound <= MOST_WRONG
    assert not found.verified
    assert found.missing == (59,)


def test_nothing_to_verify_is_not_verified():
    assert not verification([], {}).verified


def test_the_order_is_of_the_audit_alone():
    order = random_order("audits/a", range(50))
    assert order == random_order("audits/a", reversed(range(50)))
    assert sorted(order) == list(range(50))
    assert order not in (list(range(50)), random_order("audits/b", range(50)))
    # A bug more leaves the places of the others as they are.
    assert [number for number in random_order("audits/a", range(51)) if number != 50] == order


def verified_wrongly(population: int, wrong: int) -> float:
    """The probability that answers, one by one, ever verify a population with too many wrong ones."""
    at = {0: 1.0}
    falsely = 0.0
    for sample in range(1, population + 1):
        before, at = at, {}
        for found, probability in before.items():
            next_is_wrong = (wrong - found) / (population - sample + 1)
            at[found] = at.get(found, 0.0) + probability * (1 - next_is_wrong)
            at[found + 1] = at.get(found + 1, 0.0) + probability * next_is_wrong
        for found in [found for found in at if (wrong - found) / population > MOST_WRONG]:
            if verification(range(population), {n: n < found for n in range(sample)}).verified:
                falsely += at.pop(found)
    return falsely


@pytest.mark.parametrize(("population", "most"), [(57, 0.052), (178, 0.065)])
def test_looking_after_every_answer_seldom_verifies_what_is_not_right(population, most):
    """The bound is of one look, which is wrong in 5%; people look after each answer."""
    least = math.floor(MOST_WRONG * population) + 1
    assert ERROR < max(verified_wrongly(population, wrong) for wrong in range(least, least + 6)) < most
