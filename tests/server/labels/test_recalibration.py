"""Answers say how far the readers are to be believed."""

import numpy as np
import pytest
from defuse_server.labels.recalibration import LEAST_SLOPE, DecidedProposal, Recalibration, recalibrated
from scipy.optimize import minimize
from scipy.special import expit, logit

ANSWERS = {
    "agreeing": [(0.95, True)] * 30,
    "contradicting": [(0.95, False)] * 30,
    "of an annotator who contradicts what is believed most": [(0.99, False)] * 40 + [(0.6, True)] * 40,
    "of readers that are too sure": [(0.99, True), (0.99, True), (0.99, False)] * 8 + [(0.7, True)] * 9,
    "few": [(0.9, True), (0.8, False), (0.97, True)],
    "where no reader was asked": [(0.0, True)] * 5 + [(0.0, False)],
}


def decided(answers) -> list[DecidedProposal]:
    return [DecidedProposal(probability, right) for probability, right in answers]


@pytest.mark.parametrize("probability", [0.01, 0.5, 0.9, 0.99])
def test_without_answers_the_readers_are_believed_as_they_are(probability):
    assert recalibrated([])(probability) == pytest.approx(probability, rel=1e-12)


def test_without_readers_nothing_is_known():
    assert recalibrated([])(0.0) == 0.5


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
def test_the_fit_is_the_most_probable_one(answers):
    odds = np.array([logit(probability) if probability else 0.0 for probability, _ in answers])
    signs = np.array([1.0 if right else -1.0 for _, right in answers])

    def loss(ab):
        prior = ab[0] ** 2 / 2 + (ab[1] - 1) ** 2 / (2 * 0.5**2)
        return prior - np.log(expit(signs * (ab[0] + ab[1] * odds))).sum()

    bounds = [(None, None), (LEAST_SLOPE, None)]
    best = minimize(loss, (0.0, 1.0), method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14})
    found = recalibrated(decided(answers))
    assert (found.intercept, found.slope) == pytest.approx(best.x, abs=1e-4)


def test_agreeing_answers_raise_the_belief_and_contradicting_ones_lower_it():
    agreed, contradicted = (recalibrated(decided(ANSWERS[which])) for which in ("agreeing", "contradicting"))
    for probability in (0.7, 0.9, 0.95):
        assert contradicted(probability) < probability < agreed(probability)
    assert contradicted(0.95) < 0.1


def test_more_answers_of_a_kind_move_the_belief_further():
    beliefs = [recalibrated(decided([(0.9, True)] * count))(0.9) for count in (0, 1, 5, 25)]
    assert beliefs == sorted(beliefs)
    assert len(set(beliefs)) == 4


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
def test_what_the_readers_believe_more_is_believed_more(answers):
    found = recalibrated(decided(answers))
    beliefs = [found(probability) for probability in np.linspace(0.01, 0.99, 50)]
    assert all(np.diff(beliefs) > 0)
    assert 0 < beliefs[0] < beliefs[-1] < 1


def test_certainty_stays_finite():
    assert 0.99 < Recalibration()(1.0) < 1.0
    assert recalibrated(decided([(1.0, False)] * 100))(1.0) < 0.1
