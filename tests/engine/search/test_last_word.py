"""Held-out readers have the last word on what people will see."""

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig
from defuse_engine.search.last_word import stated
from defuse_engine.types import Misclassifications


def chosen(z0: list[float], believed: float) -> Misclassifications:
    """Codes (z0, 0) of seed label 1 that are predicted to be 0, believed this far."""
    zeros = np.zeros(len(z0), np.float32)
    return Misclassifications(
        codes=np.stack([z0, zeros], axis=1).astype(np.float32),
        seed_index=np.arange(len(z0)),
        seed_split=np.zeros(len(z0), np.uint8),
        seed_label=np.ones(len(z0), np.int32),
        predicted_class=np.zeros(len(z0), np.int32),
        confidence=zeros + 0.99,
        delta_norm=zeros,
        agreement=zeros + 1,
        bug_probability=zeros + np.float32(believed),
        method=np.ones(len(z0), np.uint8),
    )


@pytest.fixture
def last_word(open_search):
    search, _ = open_search(AuditConfig(), shown=True)
    return search.last_word


def test_what_shows_the_predicted_class_is_dropped_however_sure_the_search_is(last_word):
    kept = last_word(chosen([-1.5, -0.8, 0.2, 0.3], 0.999))
    assert kept.codes[:, 0].tolist() == pytest.approx([0.2, 0.3])
    assert kept.seed_index.tolist() == [2, 3]
    assert kept.bug_probability.min() > 0.9


def test_it_states_the_probability_anew(last_word):
    inside = [0.2, 0.25, 0.3]
    sure, less = (last_word(chosen(inside, believed)).bug_probability for believed in (0.999, 0.98))
    assert (sure > less).all()
    assert not np.array_equal(sure, np.full(3, 0.999, np.float32))


def test_nothing_chosen_needs_no_word(last_word):
    assert len(last_word(chosen([], 0.9))) == 0


def test_a_search_that_shows_nothing_asks_nobody(open_search):
    search, _ = open_search(AuditConfig(), shown=False)
    assert search.last_word is None


def test_without_known_bugs_the_more_careful_source_counts():
    believed, seen = np.float32([0.99, 0.9]), np.float32([0.3, 0.05])
    np.testing.assert_allclose(stated(None, believed, seen), [0.7, 0.9])
