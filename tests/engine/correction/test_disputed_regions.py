"""Where people saw something else than the seeds' label nothing of that label is trained on."""

import numpy as np
import pytest

from defuse_engine.configs import RegionLabel
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.labeled_regions import LabeledRegions
from defuse_engine.covariance import diagonal
from defuse_engine.types import Regions

SEEDS, PREDICTED, THIRD = 1, 0, 2
REGIONS = Regions(
    weights=np.ones(2) / 2,
    means=np.array([[0.0, 0.0], [10.0, 0.0]]),
    covariances=(diagonal(np.array([2.0, 1.0])),) * 2,
    seed_labels=np.array([SEEDS, SEEDS], np.int32),
    predicted_classes=np.array([PREDICTED, PREDICTED], np.int32),
    sizes=np.array([10, 10]),
    member_offsets=np.array([0, 10, 20]),
    members=np.arange(20),
    tau=0.1,
)


@pytest.mark.parametrize("label", [PREDICTED, THIRD])
def test_what_lies_in_a_region_of_another_label_is_held_as_far_as_its_codes_reach(label):
    disputed = DisputedRegions(LabeledRegions((RegionLabel(0, label), RegionLabel(1, SEEDS)), REGIONS))
    codes = np.array([[0.0, 0.0], [2.7, 0.0], [2.9, 0.0], [0.0, 1.4], [0.0, 1.5], [10.0, 0.0]], np.float32)
    held = disputed.hold(codes, np.full(6, SEEDS))
    # A squared Mahalanobis distance of 2, as many as coordinates: sqrt(8) along one axis, sqrt(2) the other.
    assert held.tolist() == [True, True, False, True, False, False]
    # Seeds of other labels say nothing that was disputed.
    assert not disputed.hold(codes, np.full(6, PREDICTED)).any()


def test_where_people_agree_with_the_seeds_nothing_is_held():
    disputed = DisputedRegions(LabeledRegions((RegionLabel(0, SEEDS),), REGIONS))
    assert not disputed.hold(np.zeros((3, 2), np.float32), np.full(3, SEEDS)).any()


def test_no_codes_and_a_region_without_spread_are_no_obstacle():
    disputed = DisputedRegions(LabeledRegions((RegionLabel(0, PREDICTED),), REGIONS))
    assert len(disputed.hold(np.zeros((0, 2), np.float32), np.zeros(0, np.int64))) == 0
    flat = Regions(**{**vars(REGIONS), "covariances": (diagonal(np.zeros(2)),) * 2})
    held = DisputedRegions(LabeledRegions((RegionLabel(0, PREDICTED),), flat)).hold(
        np.array([[0.0, 0.0], [0.1, 0.0]], np.float32), np.full(2, SEEDS)
    )
    assert held.tolist() == [True, False]
