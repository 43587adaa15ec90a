"""What the benchmarks' oracle answers, and how its answers become a bug's label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from bench._answers import Answer, decided, with_slips


def test_an_oracle_errs_in_its_share_of_the_answers_and_never_by_the_right_class():
    rng = np.random.default_rng(0)
    answers = Counter(with_slips(3, 10, 0.05, rng) for _ in range(20_000))
    slips = 20_000 - answers[3]
    assert 0.045 < slips / 20_000 < 0.055
    assert set(answers) == set(range(10))
    assert max(count for answer, count in answers.items() if answer != 3) < 1.5 * slips / 9


def test_without_slips_an_oracle_says_what_it_sees_and_with_nothing_else_it_never_does():
    rng = np.random.default_rng(0)
    assert {with_slips(None, 4, 0.0, rng) for _ in range(100)} == {None}
    assert {with_slips(2, 4, 1.0, rng) for _ in range(100)} == {0, 1, 3}
    assert {with_slips(None, 4, 1.0, rng) for _ in range(100)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("votes", "label", "answers"),
    [
        ([7], 7, 1),  # the seeds' label
        ([None], None, 1),  # mixed
        ([4, 4], 4, 2),  # against the seeds'
        ([4, 7, 7], 7, 3),  # a slip
        ([4, 7, 4], 4, 3),
        ([4, None, None], None, 3),
        ([4, 7, 5], None, 3),
    ],
)
def test_a_label_against_the_seeds_takes_a_second_answer_that_agrees(
    votes: list[Answer], label: Answer, answers: int
):
    given: Iterator[Answer] = iter(votes)
    assert decided(7, lambda: next(given)) == (label, answers)
    assert next(given, "none left") == "none left"
