"""Annotators' habits of error are learned from their answers."""

import numpy as np
import pytest
from defuse_server.labels.dawid_skene import EXPECTED_ACCURACY, PRIOR_VOTES, Votes, dawid_skene


def votes_of(entries: list[tuple[int, int, int]], items: int, annotators: int, categories: int) -> Votes:
    table = np.array(entries, np.int64).reshape(-1, 3)
    return Votes(table[:, 0], table[:, 1], table[:, 2], items, annotators, categories)


def test_one_item_among_known_ones_has_the_posterior_that_paper_and_pencil_give():
    # Annotator 0 is right on 8 known items (4 of each class); annotator 1 says class 0 to all of them.
    known = {item: item % 2 for item in range(8)}
    entries = [(item, 0, item % 2) for item in range(8)] + [(item, 1, 0) for item in range(8)]
    estimate = dawid_skene(votes_of(entries, 8, 2, 2), known)
    right = (PRIOR_VOTES * EXPECTED_ACCURACY + 4) / (PRIOR_VOTES + 4)
    assert estimate.confusions[0] == pytest.approx(np.array([[right, 1 - right], [1 - right, right]]))
    always_0 = (PRIOR_VOTES * (1 - EXPECTED_ACCURACY) + 4) / (PRIOR_VOTES + 4)
    assert estimate.confusions[1] == pytest.approx(np.array([[right, 1 - right], [always_0, 1 - always_0]]))

    # A ninth item: 0 says class 1, 1 says class 0. At the fixed point, with t = P(class 1):
    estimate = dawid_skene(votes_of([*entries, (8, 0, 1), (8, 1, 0)], 9, 2, 2), known)
    t = estimate.posteriors[8, 1]
    share_1 = (4 + t + 1) / (9 + 2)
    says_1_to_1 = (PRIOR_VOTES * EXPECTED_ACCURACY + 4 + t) / (PRIOR_VOTES + 4 + t)
    says_1_to_0 = (PRIOR_VOTES * (1 - EXPECTED_ACCURACY) + 1 - t) / (PRIOR_VOTES + 4 + 1 - t)
    says_0_to_1 = (PRIOR_VOTES * (1 - EXPECTED_ACCURACY) + 4 + t) / (PRIOR_VOTES + 4 + t)
    says_0_to_0 = (PRIOR_VOTES * EXPECTED_ACCURACY + 4 + 1 - t) / (PRIOR_VOTES + 4 + 1 - t)
    of_1 = share_1 * says_1_to_1 * says_0_to_1
    of_0 = (1 - share_1) * says_1_to_0 * says_0_to_0
    assert estimate.converged
    assert t == pytest.approx(of_1 / (of_1 + of_0), abs=1e-5)
    # The one who says class 0 to everything is not believed.
    assert t > 0.8


def test_one_voice_each_is_believed_as_far_as_the_prior_goes():
    estimate = dawid_skene(votes_of([(0, 0, 1)], 1, 1, 3), {})
    assert estimate.posteriors[0].argmax() == 1
    assert estimate.posteriors[0].sum() == pytest.approx(1)


def test_an_item_without_votes_and_a_vote_never_seen_before_are_no_trouble():
    estimate = dawid_skene(votes_of([(0, 0, 0), (1, 0, 0), (2, 0, 1)], 4, 1, 2), {})
    assert np.isfinite(estimate.posteriors).all()
    assert np.isfinite(estimate.confusions).all()


@pytest.mark.parametrize("spam", ["always the same", "at random"])
def test_with_a_spammer_among_annotators_more_is_right_than_by_majority(spam: str):
    items, classes, annotators = 200, 4, 5
    majority_right = dawid_skene_right = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        truth = rng.integers(classes, size=items)
        entries: list[tuple[int, int, int]] = []
        for item in range(items):
            for annotator in rng.choice(annotators, size=3, replace=False):
                wrong = rng.integers(classes)
                honest = truth[item] if rng.random() < 0.8 else wrong
                vote = honest if annotator else (0 if spam == "always the same" else wrong)
                entries.append((item, int(annotator), int(vote)))
        votes = votes_of(entries, items, annotators, classes)
        counts = np.zeros((items, classes))
        np.add.at(counts, (votes.items, votes.categories), 1)
        majority_right += int((counts.argmax(axis=1) == truth).sum())
        estimate = dawid_skene(votes, {})
        dawid_skene_right += int((estimate.posteriors.argmax(axis=1) == truth).sum())
        # And it is known who the spammer is.
        diagonal = estimate.confusions.diagonal(axis1=1, axis2=2).mean(axis=1)
        assert diagonal.argmin() == 0
    assert dawid_skene_right > majority_right
