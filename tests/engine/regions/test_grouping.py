"""Misclassified codes are grouped into regions of one mistake each."""

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig, paper_config
from defuse_engine.covariance import FullCovariance
from defuse_engine.regions.grouping import group_all, group_by_pair, sample_region
from defuse_engine.types import Misclassifications


def silent(done, total) -> None: ...


def two_mistakes_in_one_place(count=120) -> Misclassifications:
    """Two mistakes whose codes overlap: only seed label and predicted class tell them apart."""
    rng = np.random.default_rng(0)
    first = np.arange(count) % 2 == 0
    return Misclassifications(
        codes=rng.normal(0, 1, (count, 3)).astype(np.float32),
        seed_index=np.arange(count),
        seed_split=np.zeros(count, np.uint8),
        seed_label=np.where(first, 4, 7).astype(np.int32),
        predicted_class=np.where(first, 9, 1).astype(np.int32),
        confidence=np.full(count, 0.6, np.float32),
        delta_norm=np.ones(count, np.float32),
        agreement=np.ones(count, np.float32),
        bug_probability=np.ones(count, np.float32),
        method=np.full(count, 2, np.uint8),
    )


def purity(found, regions) -> float:
    def of(region):
        return (found.seed_label[region.members] == region.seed_label).mean()

    return float(np.mean([of(region) for region in regions]))


def test_a_region_shows_one_mistake_where_codes_alone_would_mix_two():
    found = two_mistakes_in_one_place()
    by_pair = group_by_pair(found, AuditConfig(), 0, silent).regions
    by_code = group_all(found, paper_config(), 0, silent).regions
    assert {(r.seed_label, r.predicted_class) for r in by_pair} == {(4, 9), (7, 1)}
    assert purity(found, by_pair) == 1.0
    assert purity(found, by_code) < 0.9


def test_every_region_has_codes_enough_and_shares_none():
    found = two_mistakes_in_one_place()
    regions = group_by_pair(found, AuditConfig(), 0, silent).regions
    members = np.concatenate([region.members for region in regions])
    assert len(np.unique(members)) == len(members)
    assert all(len(region.members) >= 10 for region in regions)
    assert sum(region.weight for region in regions) == pytest.approx(len(members) / len(found))


@pytest.mark.parametrize("group", [group_by_pair, group_all])
def test_nine_codes_are_no_region_and_ten_are(group):
    found = two_mistakes_in_one_place(18)
    assert group(found[np.arange(9)], AuditConfig(), 0, silent).regions == ()
    one_mistake = two_mistakes_in_one_place(20)[np.arange(0, 20, 2)]
    regions = group(one_mistake, AuditConfig(), 0, silent).regions
    assert {(region.seed_label, region.predicted_class) for region in regions} == {(4, 9)}
    assert sum(len(region.members) for region in regions) == 10


@pytest.mark.parametrize("group", [group_by_pair, group_all])
def test_identical_codes_are_a_region_that_can_be_sampled(group):
    found = two_mistakes_in_one_place()[np.zeros(30, np.int64)]
    (region,) = group(found, AuditConfig(), 0, silent).regions
    assert len(region.members) == 30
    np.testing.assert_allclose(region.mean, found.codes[0], atol=1e-4)
    samples = sample_region(region.mean, region.covariance, 0.1, 50, np.random.default_rng(0))
    np.testing.assert_allclose(samples, np.repeat(found.codes[:1], 50, axis=0), atol=0.05)


def test_samples_of_a_region_have_its_mean_and_tau_of_its_covariance():
    covariance = FullCovariance(np.array([[2.0, 0.9], [0.9, 1.0]]))
    samples = sample_region(np.array([3.0, -1.0]), covariance, 0.25, 20_000, np.random.default_rng(0))
    assert samples.dtype == np.float32
    assert np.allclose(samples.mean(axis=0), [3.0, -1.0], atol=0.02)
    assert np.allclose(np.cov(samples.T), 0.25 * covariance.matrix(), atol=0.02)
