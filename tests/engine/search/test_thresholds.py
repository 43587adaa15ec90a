"""What must be reached to be believed: what the config asks for, or what the dataset's evidence can give."""

import dataclasses

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig
from defuse_engine.search.thresholds import set_thresholds


@pytest.fixture
def typical(open_search):
    search, _ = open_search()
    return search.belief_model.typical


def test_evidence_that_is_good_enough_is_held_to_what_the_config_asks_for(typical, reporter):
    thresholds = set_thresholds(typical, AuditConfig(belief_threshold=0.8), reporter)
    assert thresholds.probability == 0.8
    assert thresholds.agreement == pytest.approx(0.7 * typical.agreement)
    assert thresholds.reading == pytest.approx(0.5 * typical.reading)
    assert 0.4 < thresholds.reading <= 0.5
    assert 0.8 < thresholds.region_probability < typical.reach
    assert reporter.warnings == []


def test_what_no_evidence_can_reach_is_not_asked_for_and_that_is_told(typical, reporter):
    thresholds = set_thresholds(typical, AuditConfig(belief_threshold=1.0), reporter)
    assert 0.5 <= thresholds.probability < typical.reach < 1.0
    assert thresholds.probability < thresholds.region_probability < typical.reach
    (warning,) = reporter.warnings
    assert warning["reason"] == "BELIEF_OUT_OF_REACH"
    assert f"{thresholds.probability:.3f}" in warning["message"]


def test_nothing_is_asked_of_neighbours_that_tell_no_classes_apart(open_search, graphs, reporter):
    # Labels of train items that have nothing to do with their codes.
    dataset = graphs.dataset()
    rng = np.random.default_rng(0)
    train = dict(dataset, y_train=rng.integers(0, 2, len(dataset["y_train"])))
    search, _ = open_search(files={"dataset.npz": train})
    assert search.belief_model.typical.agreement < 0.7
    thresholds = set_thresholds(search.belief_model.typical, AuditConfig(), reporter)
    assert thresholds.agreement < 0.5
    assert thresholds.region_agreement < 0.6
    # Nor are the readers sure of anything, who learned from the same labels.
    assert search.belief_model.typical.reading < 0.8
    assert thresholds.reading < 0.4


def test_half_of_the_doubt_that_is_left_must_go_before_a_region_is_shown(typical, reporter):
    config = dataclasses.replace(AuditConfig(), belief_threshold=0.6)
    thresholds = set_thresholds(typical, config, reporter)
    assert thresholds.region_probability == pytest.approx((0.6 + typical.reach) / 2)
