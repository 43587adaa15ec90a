"""A confusion that no region shows gets narrow ones, around its likeliest bugs."""

import numpy as np
import pytest

from defuse_engine.regions.narrow_regions import likeliest, narrow_regions
from defuse_engine.regions.sampled_regions import SampledRegion
from defuse_engine.types import Misclassifications

NOISE = np.array([0.1, 0.2], np.float32)


def found(codes, probabilities, confusion=(1, 0)) -> Misclassifications:
    """Codes that all show one confusion."""
    count = len(codes)
    return Misclassifications(
        codes=np.asarray(codes, np.float32),
        seed_index=np.arange(count),
        seed_split=np.zeros(count, np.uint8),
        seed_label=np.full(count, confusion[0], np.int32),
        predicted_class=np.full(count, confusion[1], np.int32),
        confidence=np.full(count, 0.6, np.float32),
        delta_norm=np.ones(count, np.float32),
        agreement=np.ones(count, np.float32),
        bug_probability=np.asarray(probabilities, np.float32),
        method=np.full(count, 2, np.uint8),
    )


def test_the_likeliest_bug_is_the_middle_and_what_is_near_belongs_to_it():
    # The second coordinate's noise is twice the first's: what is near in it is far in the first.
    codes = [[0.0, 0.0], [5.0, 0.0], [5.0, 0.5], [5.5, 0.0]]
    regions = narrow_regions(found(codes, [0.97, 0.99, 0.98, 0.96]), (), NOISE)
    assert [region.members.tolist() for region in regions] == [[1, 2], [0], [3]]
    first = regions[0]
    assert (first.seed_label, first.predicted_class, first.weight) == (1, 0, 0.5)
    np.testing.assert_array_equal(first.mean, [5.0, 0.0])
    np.testing.assert_allclose(first.covariance.matrix(), np.diag([0.01, 0.04]), rtol=1e-6)


@pytest.mark.parametrize(("shown", "count"), [((), 1), ([(0, 1)], 1), ([(1, 0)], 0)])
def test_a_confusion_that_is_shown_gets_none(shown, count):
    assert len(narrow_regions(found([[0.0, 0.0]], [0.97]), shown, NOISE)) == count


def test_ten_of_a_confusion_are_tried():
    scattered = 100.0 * np.arange(25)[:, None] + np.zeros(2)
    regions = narrow_regions(found(scattered, np.linspace(0.9, 0.95, 25)), (), NOISE)
    assert [region.members.tolist() for region in regions] == [[row] for row in range(24, 14, -1)]


def test_a_coordinate_that_never_varies_takes_part_in_nothing():
    codes = [[0.0, 3.0], [5.0, 3.0], [5.1, 3.0]]
    regions = narrow_regions(found(codes, [0.97, 0.99, 0.98]), (), np.array([0.1, 0.0], np.float32))
    assert [region.members.tolist() for region in regions] == [[1, 2], [0]]
    assert regions[0].covariance.matrix()[1, 1] == 0.0


def test_no_misclassification_gives_no_region():
    assert narrow_regions(found(np.zeros((0, 2)), []), (), NOISE) == []


def test_of_each_confusion_the_two_that_convince_most_are_shown():
    def sampled(confusion, probability):
        (region,) = narrow_regions(found([[0.0, 0.0]], [0.97], confusion), (), NOISE)
        ones = np.ones(2, np.float32)
        predicted = np.full(2, confusion[1])
        return SampledRegion(
            region, np.zeros((2, 2), np.float32), predicted, probability * ones, ones, predicted, ones
        )

    given = [
        sampled((1, 0), 0.98),
        sampled((1, 2), 0.5),
        sampled((1, 0), 0.97),
        sampled((1, 0), 0.99),
    ]
    shown = [(one.region.predicted_class, float(one.bug_probability[0])) for one in likeliest(given)]
    assert sorted(shown) == [(0, pytest.approx(0.98)), (0, pytest.approx(0.99)), (2, 0.5)]


def test_a_few_codes_that_are_sure_bugs_are_reported(make_job, do_job):
    result = do_job(make_job(config={"max_seeds": 30, "kept_per_seed": 1}))
    assert 0 < result["misclassifications"] < 10
    assert result["regions"]
    for region in result["regions"]:
        assert 0 < region["size"] < 10
        assert 0.1 <= region["mean"][0] <= 0.5
        assert region["misclassification_rate"]["lower"] > 0.5
