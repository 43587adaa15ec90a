"""Harm is the classifier's error rate, shared among the regions whose codes lie around what is misread."""

import numpy as np
import pytest

from defuse_engine.regions.harm import Misread, draw_misread, harms
from defuse_engine.search.belief import BelieveEverything
from defuse_engine.types import Interval, Misclassifications

ERROR_RATE = Interval(0.1, 0.08, 0.12, 1000)


def found(codes, seed_label, predicted_class) -> Misclassifications:
    """Misclassifications of which only place and confusion are told."""
    count = len(codes)
    zeros = np.zeros(count, np.float32)
    return Misclassifications(
        codes=np.asarray(codes, np.float32),
        seed_index=np.arange(count),
        seed_split=np.zeros(count, np.uint8),
        seed_label=np.asarray(seed_label, np.int32),
        predicted_class=np.asarray(predicted_class, np.int32),
        **dict.fromkeys(("confidence", "delta_norm", "agreement", "bug_probability"), zeros),
        method=np.zeros(count, np.uint8),
    )


def misread(codes, labels, predicted, scale=(1.0, 1.0), weights=None) -> Misread:
    return Misread(
        np.asarray(codes, np.float32),
        np.asarray(labels, np.int64),
        np.asarray(predicted, np.int64),
        np.ones(len(codes), np.float32) if weights is None else np.asarray(weights, np.float32),
        ERROR_RATE,
        np.asarray(scale, np.float32),
    )


@pytest.fixture
def two_places() -> Misclassifications:
    """Twenty codes of 1 -> 0 around (0, 0), and as many around (9, 0)."""
    places = np.repeat([[0.0, 0.0], [9.0, 0.0]], 20, axis=0)
    codes = places + 0.1 * np.random.default_rng(0).standard_normal((40, 2))
    return found(codes, np.ones(40), np.zeros(40))


PARTS = [np.arange(20), np.arange(20, 40)]


def test_a_region_has_the_share_of_the_misread_samples_around_its_codes(two_places):
    samples = misread([[0.0, 0.0]] * 29 + [[9.0, 0.0]] * 70, np.ones(99), np.zeros(99))
    near, far = harms(samples, two_places, PARTS)
    # One sample more is shared by the number of codes.
    assert near.value == pytest.approx(0.1 * 0.295)
    assert far.value == pytest.approx(0.1 * 0.705)


def test_harms_sum_up_to_the_error_rate(two_places):
    samples = misread(np.random.default_rng(1).uniform(0, 9, (50, 2)), np.ones(50), np.zeros(50))
    assert sum(one.value for one in harms(samples, two_places, PARTS)) == pytest.approx(0.1)


def test_a_confusion_that_no_region_shows_belongs_to_none(two_places):
    samples = misread([[0.0, 0.0]] * 98, np.ones(98), np.repeat([0, 2], 49))
    assert sum(one.value for one in harms(samples, two_places, PARTS)) == pytest.approx(0.1 * 50 / 99)


def test_a_sample_counts_as_much_as_it_is_believed(two_places):
    believed = misread([[0.0, 0.0], [9.0, 0.0]], [1, 1], [0, 0], weights=[0.9, 0.1])
    near, far = harms(believed, two_places, PARTS)
    assert (near.value, far.value) == pytest.approx((0.1 * 1.4 / 2, 0.1 * 0.6 / 2))


@pytest.mark.parametrize("count", [7, 88, 301, 4999])
def test_one_region_may_have_all_that_is_misread_whatever_it_counts(count):
    """Weights that no float holds exactly: their sum depends on the order."""
    rng = np.random.default_rng(count)
    codes = rng.standard_normal((count, 2))
    weights = rng.uniform(0.1, 0.9, count)
    everything = misread(codes, np.ones(count), np.zeros(count), weights=weights)
    (whole,) = harms(everything, found(codes[:7], np.ones(7), np.zeros(7)), [np.arange(7)])
    assert whole.value == pytest.approx(0.1)


def test_no_harm_is_0(two_places):
    nowhere = misread(np.zeros((0, 2)), [], [])
    assert [one.value for one in harms(nowhere, two_places, PARTS)] == pytest.approx([0.05, 0.05])


def test_the_interval_multiplies_the_bounds_of_rate_and_share(two_places):
    samples = misread([[0.0, 0.0]] * 99, np.ones(99), np.zeros(99))
    near, _ = harms(samples, two_places, PARTS)
    assert near.lower < 0.08
    assert near.lower < near.value < near.upper <= 0.12


def test_a_part_takes_its_codes_from_the_region_that_it_is_of(two_places):
    samples = misread([[0.0, 0.0]] * 99, np.ones(99), np.zeros(99))
    whole, part = harms(samples, two_places, [np.arange(40), np.arange(20)])
    assert part.value == pytest.approx(0.1 * 0.995)
    assert whole.value == pytest.approx(0.1 * 0.005)


def test_a_coordinate_without_information_does_not_count(two_places):
    codes = 0.1 * np.random.default_rng(1).standard_normal((300, 2))
    samples = misread(codes, np.ones(300), np.zeros(300), scale=(0.0, 1.0))
    near, far = harms(samples, two_places, PARTS)
    assert near.value == pytest.approx(far.value, rel=0.5)


@pytest.fixture
def run(open_run, graphs):
    """The analytic models with 4,000 validation items, the encoder giving mu alone."""
    files = {
        "dataset.npz": graphs.dataset((10, 4000, 10)),
        "encoder.onnx": graphs.encoder(outputs=("mu",)),
    }
    return open_run(files=files)


def test_the_error_rate_is_that_of_items_the_classifier_never_saw(run):
    # The classifier gets the stripe 0 < z0 < 0.5 wrong, an eighth of the square.
    drawn = draw_misread(run, BelieveEverything())
    assert drawn.error_rate.lower < 1 / 8 < drawn.error_rate.upper
    assert drawn.error_rate.value == pytest.approx(1 / 8, rel=0.15)


def test_nearly_all_that_is_misread_lies_in_the_stripe_that_is_wrong(run):
    drawn = draw_misread(run, BelieveEverything())
    assert len(drawn) >= 500
    stripe = (drawn.labels == 1) & (drawn.predicted == 0)
    # The posterior blurs the edges of the stripe.
    assert stripe.mean() > 0.95
    assert np.quantile(drawn.codes[stripe, 0], 0.1) > -0.3
    assert np.quantile(drawn.codes[stripe, 0], 0.9) < 0.5


def test_real_items_that_are_misread_have_as_much_weight_as_the_samples(run):
    drawn = draw_misread(run, BelieveEverything())
    inputs = run.inputs
    split = inputs.dataset.validation
    images = split.images(slice(0, len(split)))
    wrong = inputs.classifier.predict(images) != split.labels
    np.testing.assert_allclose(drawn.codes[: wrong.sum()], inputs.encoder(images)[wrong], atol=1e-5)
    samples = len(drawn) - int(wrong.sum())
    assert float(drawn.weights[: wrong.sum()].sum()) == pytest.approx(
        float(drawn.weights.sum()) / 2, rel=1e-4
    )
    assert float(drawn.weights.sum()) == pytest.approx(4 / (1 / wrong.sum() + 1 / samples), rel=1e-4)
