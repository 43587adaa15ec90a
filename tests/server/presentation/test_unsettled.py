import pytest
from defuse.v1.promotion_service_pb2 import LabelingFigures
from defuse_server.presentation.unsettled import unsettled


@pytest.mark.parametrize(
    ("unlabeled", "splitting", "said"),
    [
        (15, 3, "3 bugs wait for their split and 12 for an answer"),
        (1, 1, "1 bug waits for the split"),
        (1, 0, "1 bug waits for an answer"),
        (0, 0, ""),
    ],
)
def test_bugs_wait_for_their_split_or_for_an_answer(unlabeled, splitting, said):
    figures = LabelingFigures(bug_count=57, unlabeled_count=unlabeled, splitting_count=splitting)
    assert unsettled(figures) == said
