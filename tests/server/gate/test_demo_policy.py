"""The demo's policy says in comments what its few items can tell; those figures are held to it here."""

from pathlib import Path

import pytest
from defuse_server.gate.policy import Policy
from defuse_server.gate.statistics.paired import change_interval

TEXT = (Path(__file__).parents[3] / "examples/digits/gate.yaml").read_text()


def test_it_is_a_policy():
    checks = Policy.parse(TEXT).checks
    assert checks.clean_accuracy_change.min == -0.03
    assert checks.class_accuracy_change.min == -0.3
    assert checks.annotator_agreement is None


def test_its_bounds_are_what_so_few_items_can_tell():
    assert change_interval(0, 0, 360, 0.05).upper == pytest.approx(0.013, abs=5e-4)
    assert change_interval(3, 3, 360, 0.05).lower == pytest.approx(-0.019, abs=5e-4)
    # Ten classes: the first that is decided has a tenth of the error.
    assert change_interval(0, 0, 36, 0.005).lower == pytest.approx(-0.2, abs=5e-3)
    assert change_interval(2, 0, 36, 0.005).lower == pytest.approx(-0.28, abs=5e-3)
