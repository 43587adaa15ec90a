"""Four shapes and two planted mistakes: people are asked about few bugs, not about dozens of regions.

A code is (z0, z1); its quadrant is its shape. The classifier draws the line between left and right at
z0 = 0.4, so it reads what lies between 0 and 0.4 as the shape on the left.
"""

import numpy as np
import pytest

SHAPES = ["square", "circle", "cross", "star"]
SIDES = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
"""The quadrant of each shape."""
PLANTED = {(2, 0), (3, 1)}
"""Seeds' label and prediction."""
ANSWERS_A_CONFUSION = 3


@pytest.fixture(scope="module")
def found(shared_jobs, graphs):
    """The result of an audit of that classifier, as people start one."""
    logits = np.stack([20 * x * graphs.basis[:, 0] + 20 * y * graphs.basis[:, 1] for x, y in SIDES], axis=1)
    bias = [-20 * 0.4 * x for x, _ in SIDES]
    dataset = graphs.dataset()
    for split in ("train", "validation", "test"):
        codes = dataset[f"x_{split}"].reshape(-1, 6) @ graphs.basis
        dataset[f"y_{split}"] = 2 * (codes[:, 0] > 0) + (codes[:, 1] > 0)
    folder = shared_jobs.make(
        files={"classifier.onnx": graphs.linear(logits, bias), "dataset.npz": dataset},
        inputs={"dataset": {"class_names": SHAPES}},
    )
    return shared_jobs.do(folder)


def confusions(found) -> set[tuple[int, int]]:
    return {(bug["seed_label"], bug["predicted_class"]) for bug in found["bugs"]}


def test_the_planted_mistakes_are_found(found):
    assert confusions(found) >= PLANTED


def test_people_give_few_answers_for_each_confusion(found):
    assert len(found["bugs"]) <= ANSWERS_A_CONFUSION * len(confusions(found))


def test_bugs_are_far_fewer_than_regions(found):
    assert 2 * len(found["bugs"]) <= len(found["regions"])


def test_the_planted_mistakes_hold_nearly_all_harm_and_are_the_first_bugs(found):
    planted = [
        bug["harm_share"] for bug in found["bugs"] if (bug["seed_label"], bug["predicted_class"]) in PLANTED
    ]
    assert sum(planted) > 0.9
    assert sum(bug["harm_share"] for bug in found["bugs"]) == pytest.approx(1.0)
    first = found["bugs"][0]
    assert (first["seed_label"], first["predicted_class"]) in PLANTED


def test_harm_is_about_the_share_of_inputs_that_are_misread(found):
    # A tenth of the square lies between the two lines.
    assert sum(bug["harm"]["value"] for bug in found["bugs"]) == pytest.approx(0.1, rel=0.5)
