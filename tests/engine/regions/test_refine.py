"""Regions are split until they show one thing, moved onto the mistake, left out where they don't convince."""

from dataclasses import replace

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig
from defuse_engine.covariance import FullCovariance
from defuse_engine.regions import sampled_regions
from defuse_engine.regions.grouping import Region, halves
from defuse_engine.regions.refine import SAMPLES, refine, sample_as_grouped
from defuse_engine.regions.sampled_regions import RegionSampler, SampledRegion
from defuse_engine.types import Codes

CONFIG = AuditConfig()


def cloud(places, count=60, spread=0.05) -> Codes:
    """Codes around some places, as many around each."""
    noise = np.random.default_rng(0).normal(0.0, spread, (count * len(places), 2))
    return (np.repeat(np.asarray(places, float), count, axis=0) + noise).astype(np.float32)


def region_of(codes: Codes) -> Region:
    """One region of all codes, of which people are told that they show 1 and are taken for 0."""
    covariance = FullCovariance(np.cov(codes.T) + 1e-6 * np.eye(2))
    return Region(1.0, codes.mean(axis=0, dtype=np.float64), covariance, 1, 0, np.arange(len(codes)))


@pytest.fixture
def refined(open_search):
    """Refine one region of some codes on the analytic models."""

    def do(codes, refine=refine):
        search, _ = open_search(CONFIG)
        sampler = RegionSampler(search.classifier, search.decoder, search.belief_model, 1.0, 1)
        return refine([region_of(codes)], sampler, codes, 1, lambda done, total: None)

    return do


def test_a_region_at_the_edge_of_the_mistake_moves_onto_it(refined):
    # The classifier's boundary is 0.5: half of the samples are classified correctly.
    edge = cloud([[0.5, 0.0]], spread=0.08)
    result = refined(edge)
    (sampled,) = result.regions
    assert (result.region_splits, result.unconvincing) == (0, 0)
    assert 0.2 < sampled.region.mean[0] < 0.45
    assert sampled.wrong.mean() > 0.8
    # All are classified, and some of them assessed; only of these the codes are kept.
    assert len(sampled.predicted) == SAMPLES
    assert 0 < len(sampled.bug_probability) == len(sampled.reading) == len(sampled.codes) < SAMPLES


def test_a_region_of_two_mistakes_is_split_and_only_what_convinces_is_shown(refined):
    # At z0 = 0.3 the classifier is wrong, at z0 = -0.9 it is right: there the seed label is not what is seen.
    result = refined(cloud([[0.3, 0.0], [-0.9, 0.0]]))
    assert result.region_splits == 1
    (sampled,) = result.regions
    assert sampled.region.mean[0] == pytest.approx(0.3, abs=0.05)
    assert set(sampled.region.members) == set(range(60))
    assert sampled.region.weight == pytest.approx(0.5)
    assert result.unconvincing == 1


@pytest.mark.parametrize("z0", [1.2, -1.2], ids=["classified correctly", "shows what is predicted"])
def test_a_region_that_does_not_convince_is_not_shown(refined, z0):
    result = refined(cloud([[z0, 0.0]]))
    assert result.regions == ()
    assert result.unconvincing == 1


def test_what_the_readers_do_not_see_is_not_shown(open_search):
    search, _ = open_search(CONFIG)
    codes = cloud([[0.3, 0.0]])
    sampler = RegionSampler(search.classifier, search.decoder, search.belief_model, 1.0, 1)

    def shown(reading: float) -> int:
        search.belief_model.thresholds = replace(search.belief_model.thresholds, reading=reading)
        return len(refine([region_of(codes)], sampler, codes, 1, lambda *_: None).regions)

    (sampled,) = sampler.sample([region_of(codes)], 40, "distill/judged")
    seen = np.sort(sampled.seed_probability)
    assert shown(float(seen[0])) == 1
    # It has to see it in nine of ten samples.
    assert shown(float(seen[-4])) == 0


@pytest.mark.parametrize(("seen", "shown"), [(0.51, 1), (0.49, 0)])
def test_what_held_out_readers_do_not_see_is_not_shown(open_search, monkeypatch, seen, shown):
    """Half of what they typically give an item's own label is asked for."""
    search, _ = open_search(CONFIG)
    readers = search.belief_model.readers
    typical = readers.held_out_typical
    answer = np.array([1.0 - seen * typical, seen * typical])
    monkeypatch.setattr(readers, "held_out_probabilities", lambda images: np.tile(answer, (len(images), 1)))
    sampler = RegionSampler(search.classifier, search.decoder, search.belief_model, 1.0, 1)
    result = refine([region_of(cloud([[0.3, 0.0]]))], sampler, cloud([[0.3, 0.0]]), 1, lambda *_: None)
    assert (len(result.regions), result.unconvincing) == (shown, 1 - shown)
    assert [one.label_probability for one in result.regions] == pytest.approx([seen * typical] * shown)


def test_regions_may_be_left_as_the_mixture_made_them(refined):
    codes = cloud([[0.3, 0.0], [-0.9, 0.0]])
    result = refined(codes, sample_as_grouped)
    (sampled,) = result.regions
    np.testing.assert_array_equal(sampled.region.mean, codes.mean(axis=0, dtype=np.float64))


def test_no_regions_are_refined_to_none(open_search):
    search, _ = open_search(CONFIG)
    sampler = RegionSampler(search.classifier, search.decoder, search.belief_model, 0.1, 1)
    result = refine([], sampler, np.zeros((0, 2), np.float32), 1, lambda done, total: None)
    assert (result.regions, result.region_splits, result.unconvincing) == ((), 0, 0)


def test_samples_are_the_same_twice_and_others_elsewhere(open_search):
    search, _ = open_search(CONFIG)
    sampler = RegionSampler(search.classifier, search.decoder, search.belief_model, 0.1, 1)
    regions = [region_of(cloud([[0.3, 0.0]]))] * 2
    first, second = sampler.sample(regions, 30, "a")
    again, _ = sampler.sample(regions, 30, "a")
    np.testing.assert_array_equal(first.codes, again.codes)
    assert not np.array_equal(first.codes, second.codes)
    assert not np.array_equal(first.codes, next(sampler.sample(regions, 30, "b")).codes)
    assert first.reading_purity() == first.prediction_purity() == 1.0


def test_samples_do_not_depend_on_how_many_are_drawn_at_once(open_search, monkeypatch):
    search, _ = open_search(CONFIG)
    sampler = RegionSampler(search.classifier, search.decoder, search.belief_model, 0.1, 1)
    regions = [region_of(cloud([[z0, 0.0]])) for z0 in (0.3, -0.9, 1.2)]

    def drawn() -> list[SampledRegion]:
        sampled = list(sampler.sample(regions, 10, "a"))
        # The codes of each are its own: a view would keep those of all others in memory.
        assert all(one.codes.base is None for one in sampled)
        return sampler.widened(sampled, 5, "b", 12)

    at_once = drawn()
    # Neither 10 nor 5 divides into sevens.
    monkeypatch.setattr(sampled_regions, "_AT_ONCE", 7)
    for one, again, region in zip(at_once, drawn(), regions, strict=True):
        assert one.region is again.region is region
        assert (one.codes.shape, one.predicted.shape, one.bug_probability.shape) == ((12, 2), (15,), (10,))
        np.testing.assert_array_equal(one.codes, again.codes)
        np.testing.assert_array_equal(one.predicted, again.predicted)
        np.testing.assert_array_equal(one.reading, again.reading)


def test_halves_have_codes_enough_or_there_are_none():
    codes = cloud([[0.0, 0.0], [5.0, 0.0]], count=30)
    whole = region_of(codes)
    left, right = sorted(halves(whole, codes, 0, "cpu"), key=lambda half: half.mean[0])
    assert set(left.members) == set(range(30))
    assert set(right.members) == set(range(30, 60))
    assert left.weight + right.weight == pytest.approx(whole.weight)
    few = cloud([[0.0, 0.0], [5.0, 0.0]], count=9)
    assert halves(region_of(few), few, 0, "cpu") == []
    same = np.ones((40, 2), np.float32)
    assert halves(region_of(same), same, 0, "cpu") == []


def test_an_audit_says_how_many_regions_it_does_not_show(make_job, do_job):
    # Everything that is misclassified is believed, and samples reach far: into where the classifier is right.
    doubtful = {"belief_threshold": 0.0, "agreement_threshold": 0.0, "noise_scale": 1.0, "tau": 1.0}
    result = do_job(make_job(config={**doubtful, "max_seeds": 500, "max_components": 10}))
    (message,) = [w["message"] for w in result["warnings"] if w["reason"] == "REGIONS_UNCONVINCING"]
    hidden, of, every, *_ = message.split()
    assert of == "of"
    assert 0 < int(hidden) == int(every) - len(result["regions"])
