"""Verifies the readers' proposals by a sample that people answer.

The population are the bugs that the readers are surest of. People's answers to a random part of them bound
how many of all proposals are wrong; once few can be, the proposals of the others are used as labels.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from defuse_server.labels.hypergeometric import ERROR, at_most, most_marked

LEAST_PROBABILITY: Final = 0.9
"""Least `label_probability` of a bug in the population. Below, the readers doubt themselves: ask people."""
MOST_WRONG: Final = 0.03
"""Most proposals that may be wrong among those in use, as a share of the population: of a hundred bugs,
three at most get a wrong label unseen."""


@dataclass(frozen=True)
class Verification:
    """How far the sample goes. Bugs are named by their numbers."""

    order: tuple[int, ...]
    """The population, in a random order that never changes."""
    sample: int
    """How many of the order, from its start, are answered: a random sample of the population."""
    wrong: int
    """How many of those have a wrong proposal."""
    bound: float
    """With a probability of 95%, at most this share of the population is wrong and not found yet, 0..1."""
    verified: bool
    """Whether few enough proposals can be wrong."""
    missing: tuple[int, ...]
    """The bugs that the sample still takes, if the proposals of all are right, in the order."""


def random_order(audit: str, numbers: Iterable[int]) -> list[int]:
    """Return numbers of bugs in the random order of an audit. It depends on nothing but names."""
    return sorted(numbers, key=lambda number: hashlib.sha256(f"{audit} proposal {number}".encode()).digest())


def verification(order: Sequence[int], is_wrong: Mapping[int, bool]) -> Verification:
    """Verify a population. `is_wrong` has the bugs that are answered, and tells whose proposal was wrong.

    The bound is exact: the number of wrong proposals in a sample without replacement is hypergeometric.
    """
    sample = next((place for place, number in enumerate(order) if number not in is_wrong), len(order))
    wrong = sum(is_wrong[number] for number in order[:sample])
    missing: list[int] = []
    found = wrong
    for place in range(sample, len(order)):
        if _suffices(found, len(order), place):
            break
        found += is_wrong.get(order[place], False)
        if order[place] not in is_wrong:
            missing.append(order[place])
    verified = bool(order) and _suffices(wrong, len(order), sample)
    bound = (most_marked(wrong, len(order), sample) - wrong) / len(order) if order else 1.0
    return Verification(tuple(order), sample, wrong, bound, verified, tuple(missing))


def _suffices(wrong: int, population: int, sample: int) -> bool:
    """Tell whether the bound is at most `MOST_WRONG`: one more wrong proposal than that is refuted.

    Of the sample itself no more may be wrong, or the last few bugs would take proposals of readers that are
    often wrong.
    """
    if wrong > MOST_WRONG * sample:
        return False
    refuted = wrong + math.floor(MOST_WRONG * population) + 1
    return at_most(wrong, population, refuted, sample) <= ERROR
