"""What must be reached to be believed: what the config asks for, or what the dataset's evidence can give."""

import dataclasses

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig
from defuse_engine.search.bars import set_bars


@pytest.fixture
def judge(open_search):
    search, _ = open_search()
    return search.judge


def test_evidence_that_is_good_enough_is_held_to_what_the_config_asks_for(judge, reporter):
    bars = set_bars(judge, AuditConfig(belief_threshold=0.8), reporter)
    assert bars.probability == 0.8
    assert bars.agreement == pytest.approx(0.7 * judge.typical_agreement)
    assert bars.reading == pytest.approx(0.5 * judge.typical_reading)
    assert 0.4 < bars.reading <= 0.5
    assert 0.8 < bars.region_probability < judge.reach
    assert reporter.warnings == []


def test_what_no_evidence_can_reach_is_not_asked_for_and_that_is_told(judge, reporter):
    bars = set_bars(judge, AuditConfig(belief_threshold=1.0), reporter)
    assert 0.5 <= bars.probability < judge.reach < 1.0
    assert bars.probability < bars.region_probability < judge.reach
    (warning,) = reporter.warnings
    assert warning["reason"] == "BELIEF_OUT_OF_REACH"
    assert f"{bars.probability:.3f}" in warning["message"]


def test_nothing_is_asked_of_neighbours_that_tell_no_classes_apart(open_search, graphs, reporter):
    # Labels of train items that have nothing to do with their codes.
    dataset = graphs.dataset()
    rng = np.random.default_rng(0)
    train = dict(dataset, y_train=rng.integers(0, 2, len(dataset["y_train"])))
    search, _ = open_search(files={"dataset.npz": train})
    assert search.judge.typical_agreement < 0.7
    bars = set_bars(search.judge, AuditConfig(), reporter)
    assert bars.agreement < 0.5
    assert bars.region_agreement < 0.6
    # Nor is the witness sure of anything, who learned from the same labels.
    assert search.judge.typical_reading < 0.8
    assert bars.reading < 0.4


def test_half_of_the_doubt_that_is_left_must_go_before_a_region_is_shown(judge, reporter):
    config = dataclasses.replace(AuditConfig(), belief_threshold=0.6)
    bars = set_bars(judge, config, reporter)
    assert bars.region_probability == pytest.approx((0.6 + judge.reach) / 2)
