"""The benchmark asks in the service's order, and takes labels as the service does."""

import pytest

from bench._labeling import Labeling


@pytest.fixture
def labeling():
    """Three bugs of 1 -> 0; the readers doubt the one with the largest harm."""
    return Labeling(
        [
            {
                "cells": [2 * number, 2 * number + 1],
                "shown_cells": [2 * number],
                "seed_label": 1,
                "predicted_class": 0,
                "label_probability": probability,
                "harm": {"value": harm},
            }
            for number, (harm, probability) in enumerate([(0.3, 0.6), (0.1, 0.95), (0.2, 0.95)])
        ]
    )


def test_bugs_that_readers_can_name_come_first(labeling):
    assert labeling.order() == [2, 1, 0]
    labeling.decide(2, 1, 1)
    assert labeling.order() == [1, 0]


def test_the_seeds_label_holds_for_all_cells_and_another_for_those_shown(labeling):
    labeling.decide(2, 1, 1)
    labeling.decide(1, 7, 2)
    labeling.decide(0, None, 1)
    assert labeling.labels() == {4: 1, 5: 1, 2: 7}
