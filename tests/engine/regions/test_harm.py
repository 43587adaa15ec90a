"""Expected harm: the closed form is what Monte Carlo finds, and it says what to label first."""

import numpy as np
import pytest

from defuse_engine.inputs.dataset import Split
from defuse_engine.intervals import wilson
from defuse_engine.models.device import open_runtime
from defuse_engine.models.onnx_model import Encoder
from defuse_engine.regions.grouping import Region
from defuse_engine.regions.harm import AggregatePosterior, aggregate_posterior, expected_harm
from defuse_engine.types import Interval, Preprocessing

CERTAIN = Interval(1.0, 1.0, 1.0, 100)


def region(mean, covariance) -> Region:
    return Region(0.5, np.asarray(mean, float), np.asarray(covariance, float), 1, 0, np.arange(10))


@pytest.fixture
def production() -> AggregatePosterior:
    """300 items around three places, each blurred in its own way."""
    rng = np.random.default_rng(0)
    places = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 1.0], [0.0, 3.0, -1.0]])
    mu = places[rng.integers(3, size=300)] + 0.5 * rng.standard_normal((300, 3))
    sigma = rng.uniform(0.05, 0.6, (300, 3))
    return AggregatePosterior(np.arange(3), mu.astype(np.float32), sigma.astype(np.float32))


COVARIANCE = np.array([[0.5, 0.2, 0.0], [0.2, 0.3, -0.1], [0.0, -0.1, 0.4]])


@pytest.mark.parametrize("mean", [[0.0, 0.0, 0.0], [1.0, 0.5, 0.5], [2.0, 2.0, 0.0]])
def test_the_mass_of_a_region_is_what_monte_carlo_finds(production, mean):
    harm = expected_harm(region(mean, COVARIANCE), CERTAIN, production, "cpu")
    rng = np.random.default_rng(1)
    items = rng.integers(300, size=400_000)
    codes = production.mu[items] + production.sigma[items] * rng.standard_normal((len(items), 3))
    offsets = codes - mean
    belongs = np.exp(-0.5 * np.einsum("ni,ij,nj->n", offsets, np.linalg.inv(COVARIANCE), offsets))
    assert harm.value == pytest.approx(belongs.mean(), rel=0.02)
    assert harm.lower < harm.value < harm.upper
    assert harm.samples == 300


def test_its_interval_narrows_with_the_items(production):
    four_times = AggregatePosterior(
        production.active, np.tile(production.mu, (4, 1)), np.tile(production.sigma, (4, 1))
    )
    here = region([0.0, 0.0, 0.0], 0.1 * COVARIANCE)
    few = expected_harm(here, CERTAIN, production, "cpu")
    # More than the items that are summed over at most: those left out lie too far to count.
    many = expected_harm(here, CERTAIN, four_times, "cpu")
    assert many.value == pytest.approx(few.value, rel=1e-3)
    assert many.upper - many.lower == pytest.approx((few.upper - few.lower) / 2, rel=0.02)


def test_harm_is_the_mass_times_the_share_that_is_wrong(production):
    here = region([0.0, 0.0, 0.0], COVARIANCE)
    mass = expected_harm(here, CERTAIN, production, "cpu")
    half = wilson(50, 100)
    harm = expected_harm(here, half, production, "cpu")
    assert harm.value == pytest.approx(0.5 * mass.value)
    assert (harm.lower, harm.upper) == pytest.approx((mass.lower * half.lower, mass.upper * half.upper))
    assert expected_harm(here, wilson(0, 100), production, "cpu").value == 0.0


def test_a_region_where_no_input_falls_does_no_harm(production):
    far = region([60.0, 60.0, 60.0], COVARIANCE)
    harm = expected_harm(far, CERTAIN, production, "cpu")
    assert (harm.lower, harm.value, harm.upper) == (0.0, 0.0, 0.0)


def test_identical_codes_have_all_their_mass_in_one_place():
    production = AggregatePosterior(np.arange(2), np.ones((40, 2), np.float32), np.zeros((40, 2), np.float32))
    harm = expected_harm(region([1.0, 1.0], 1e-6 * np.eye(2)), CERTAIN, production, "cpu")
    assert harm.value == pytest.approx(1.0)


def encoded(graphs, outputs, spread) -> AggregatePosterior:
    codes = np.random.default_rng(2).normal([-3.0, 0.0], [1.0, spread], (500, 2)).astype(np.float32)
    images = (codes @ graphs.basis.T).reshape(-1, *graphs.image_shape)
    model = graphs.linear(graphs.basis, np.zeros(2), outputs=outputs)
    encoder = Encoder(model, Preprocessing(), open_runtime("cpu", 1, 256))
    return aggregate_posterior(encoder, Split(images, np.zeros(500, np.int64)), np.random.default_rng(0))


def test_an_encoder_with_mu_alone_is_blurred_by_a_share_of_the_spread(graphs):
    production = encoded(graphs, ("mu",), spread=3.0)
    expected = 0.15 * production.mu.std(axis=0)
    np.testing.assert_allclose(production.sigma, np.tile(expected, (500, 1)), rtol=1e-4)
    assert production.active.tolist() == [0, 1]


def test_a_coordinate_that_carries_no_information_does_not_count(graphs):
    # This encoder's logvar is mu itself: sigma is 0.2 where mu varies by 1, and 1 where mu varies by 0.01.
    production = encoded(graphs, ("mu", "logvar"), spread=0.01)
    np.testing.assert_allclose(production.sigma, np.exp(production.mu / 2), rtol=1e-4)
    assert production.active.tolist() == [0]
    near, beside = (
        expected_harm(region([-3.0, z1], 0.1 * np.eye(2)), CERTAIN, production, "cpu").value
        for z1 in (0.0, 9.0)
    )
    assert near == beside > 0.0
