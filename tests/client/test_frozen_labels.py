"""What the labels of a correction or an evaluation leave out, as text."""

import pytest
from defuse.frozen_labels import label_set, unsettled
from defuse.messages import LabelingFigures


@pytest.mark.parametrize(
    ("unlabeled", "splitting", "said"),
    [
        (15, 3, "3 bugs wait for their split and 12 for an answer"),
        (1, 1, "1 bug waits for the split"),
        (1, 0, "1 bug waits for an answer"),
        (1200, 0, "1,200 bugs wait for an answer"),
        (0, 0, ""),
    ],
)
def test_bugs_wait_for_their_split_or_for_an_answer(unlabeled, splitting, said):
    figures = LabelingFigures(bug_count=57, unlabeled_count=unlabeled, splitting_count=splitting)
    assert unsettled(figures) == said


def test_without_bugs_it_is_regions_that_wait():
    assert unsettled(LabelingFigures(region_count=9, unlabeled_count=2)) == "2 regions wait for an answer"


def test_a_label_set_is_named_with_the_number_of_its_regions():
    assert label_set(1, "1a2b3c4d5e6f7a8b") == "of 1 region, label set 1a2b3c4d5e6f"
    assert label_set(1178, "1a2b3c4d5e6f7a8b") == "of 1,178 regions, label set 1a2b3c4d5e6f"


def test_without_a_label_set_nothing_is_said_of_it():
    assert label_set(0, "") == ""
