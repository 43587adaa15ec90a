"""Estimates the truth behind annotators' votes, together with each annotator's habits of error.

A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm",
Journal of the Royal Statistical Society C 28(1), 1979. Each annotator has a confusion matrix, the probability
of each vote given the truth; the EM algorithm estimates it together with the truths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

EXPECTED_ACCURACY: Final = 0.7
"""Prior accuracy of an annotator. It is better than chance, or the categories could change places."""
PRIOR_VOTES: Final = 2.0
"""The prior counts as this many votes for each category."""
ITERATIONS_MAX: Final = 200
TOLERANCE: Final = 1e-6


@dataclass(frozen=True)
class Votes:
    """One entry for each vote, none for an abstention. Items, annotators and categories count from 0."""

    items: Int64[np.ndarray, " votes"]
    annotators: Int64[np.ndarray, " votes"]
    categories: Int64[np.ndarray, " votes"]
    item_count: int
    annotator_count: int
    category_count: int


@dataclass(frozen=True)
class Estimate:
    """`posteriors` sum to 1 for each item. `confusions[j, k]` is how annotator j votes if the truth is k."""

    posteriors: Float64[np.ndarray, "items categories"]
    confusions: Float64[np.ndarray, "annotators categories categories"]
    converged: bool


def dawid_skene(votes: Votes, known: Mapping[int, int]) -> Estimate:
    """Estimate the items' categories. `known` holds the categories of items that need no estimate.

    The iteration starts from the shares of the votes. The confusions and the shares of the categories are
    smoothed: otherwise a vote that an annotator never gave before would be impossible.
    """
    posteriors = _fixed(_shares(votes), known)
    confusions = _confusions(votes, posteriors)
    for _ in range(ITERATIONS_MAX):
        before = posteriors
        posteriors = _fixed(_posteriors(votes, confusions, before), known)
        confusions = _confusions(votes, posteriors)
        if np.abs(posteriors - before).max(initial=0.0) < TOLERANCE:
            return Estimate(posteriors, confusions, converged=True)
    return Estimate(posteriors, confusions, converged=False)


def _shares(votes: Votes) -> Float64[np.ndarray, "items categories"]:
    counts = np.zeros((votes.item_count, votes.category_count))
    np.add.at(counts, (votes.items, votes.categories), 1.0)
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, counts / np.maximum(totals, 1.0), 1.0 / votes.category_count)


def _fixed(
    posteriors: Float64[np.ndarray, "items categories"], known: Mapping[int, int]
) -> Float64[np.ndarray, "items categories"]:
    for item, category in known.items():
        posteriors[item] = 0.0
        posteriors[item, category] = 1.0
    return posteriors


def _confusions(
    votes: Votes, posteriors: Float64[np.ndarray, "items categories"]
) -> Float64[np.ndarray, "annotators categories categories"]:
    """M step, with the prior's votes added."""
    categories = votes.category_count
    other = (1.0 - EXPECTED_ACCURACY) / max(1, categories - 1)
    prior = np.full((categories, categories), other)
    np.fill_diagonal(prior, EXPECTED_ACCURACY)
    counts = np.tile(PRIOR_VOTES * prior, (votes.annotator_count, 1, 1))
    # Indexed as [annotator, vote, truth]: each vote adds a row.
    np.add.at(counts.swapaxes(1, 2), (votes.annotators, votes.categories), posteriors[votes.items])
    return counts / counts.sum(axis=2, keepdims=True)


def _posteriors(
    votes: Votes,
    confusions: Float64[np.ndarray, "annotators categories categories"],
    before: Float64[np.ndarray, "items categories"],
) -> Float64[np.ndarray, "items categories"]:
    """E step."""
    shares = (before.sum(axis=0) + 1.0) / (votes.item_count + votes.category_count)
    logs = np.tile(np.log(shares), (votes.item_count, 1))
    np.add.at(logs, votes.items, np.log(confusions[votes.annotators, :, votes.categories]))
    logs -= logs.max(axis=1, keepdims=True)
    posteriors = np.exp(logs)
    return posteriors / posteriors.sum(axis=1, keepdims=True)
