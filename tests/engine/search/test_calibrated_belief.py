"""What the dataset says of a misclassification is a probability that holds."""

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig
from defuse_engine.search.calibrated_belief import expected_calibration_error
from defuse_engine.search.classify_codes import Candidates, classify_codes


@pytest.fixture
def line(open_search):
    """Assess codes (z0, 0) that have seed label 1; returns the model and its belief in each z0."""

    def assess(z0: list[float], least=0.0, **options):
        search, _ = open_search(AuditConfig(), **options)
        codes = np.stack([z0, np.zeros(len(z0))], axis=1).astype(np.float32)
        predicted, confidence = classify_codes(search.decoder, search.classifier, codes)
        images, labels = search.decoder(codes), np.ones(len(z0), np.int64)
        candidates = Candidates(images, labels, predicted, confidence)
        return search.belief_model, search.belief_model(candidates, least)

    return assess


def test_it_is_sure_of_the_stripe(line):
    _, inside = line([0.2, 0.25, 0.3, 0.4, 0.45])
    assert inside.bug_probability.min() > 0.95
    assert inside.agreement.min() > 0.9
    assert set(inside.reading) == {1}
    assert inside.seed_probability.min() > 0.9


def test_it_believes_nothing_outside_the_stripe(line):
    _, outside = line([-1.5, -0.8, -0.4, 0.6, 0.8, 1.5])
    assert outside.bug_probability.max() < 0.05
    assert outside.agreement.tolist()[:3] == [0.0, 0.0, 0.0]
    assert outside.reading.tolist() == [0, 0, 0, 1, 1, 1]
    assert (outside.seed_probability > 0.5).tolist() == [False, False, False, True, True, True]


def test_it_is_unsure_where_the_truth_changes(line):
    _, edge = line([0.0])
    assert 0.1 < edge.bug_probability[0] < 0.9


def test_who_cannot_reach_what_is_asked_for_costs_no_neighbours(line):
    places = [-1.5, -0.4, 0.0, 0.2, 0.3, 0.45, 0.8, 1.5]
    _, asked = line(places)
    _, spared = line(places, least=0.9, name="spared")
    hopeless = spared.bug_probability < 0.9
    assert 2 <= hopeless.sum() <= 6
    # Nothing that would have reached it is lost, and the bound is one.
    assert (asked.bug_probability <= spared.bug_probability + 1e-6).all()
    np.testing.assert_allclose(spared.bug_probability[~hopeless], asked.bug_probability[~hopeless], rtol=1e-6)
    np.testing.assert_array_equal(spared.agreement[~hopeless], asked.agreement[~hopeless])
    # One that is hopeless only by its neighbours was asked.
    unasked = spared.agreement != asked.agreement
    assert unasked.any()
    assert hopeless[unasked].all()
    assert (spared.agreement[unasked] == 0.0).all()
    np.testing.assert_array_equal(spared.reading, asked.reading)
    np.testing.assert_array_equal(spared.seed_probability, asked.seed_probability)


def test_its_calibration_is_measured_on_validation_items(line, graphs):
    model, _ = line([0.25])
    arrays = graphs.dataset()
    z0 = (arrays["x_validation"].reshape(-1, 6) @ graphs.basis)[:, 0]
    figures = model.calibration
    assert figures.items == 400
    assert figures.bug_share == pytest.approx(((z0 > 0) & (z0 < graphs.boundary)).mean())
    assert figures.expected_calibration_error < 0.03
    assert figures.brier_score < 0.03


def test_with_too_few_bugs_both_readings_must_deny_the_predicted_class(line, graphs):
    # A stripe of 1% of the data: 4 of 400 validation items are bugs.
    files = {"classifier.onnx": graphs.classifier(boundary=0.04)}
    model, said = line([-1.0, 0.02, 1.0, -0.02], files=files)
    assert model.calibration.items == 0
    # One minus the predicted class's share of neighbours at most: the classifier predicts 0, 0, 1, 0.
    by_neighbours = np.array([0.0, said.agreement[1], 1.0 - said.agreement[2], said.agreement[3]])
    assert (said.bug_probability <= by_neighbours + 1e-6).all()
    # Half of the neighbours bear 1 there; the readers are surer that it is 0.
    assert said.bug_probability[3] < by_neighbours[3] - 0.1
    assert 0.2 < said.bug_probability[1] < 0.9


def test_nothing_found_is_nothing_to_assess(line):
    _, nothing = line([])
    assert nothing.bug_probability.shape == nothing.agreement.shape == nothing.reading.shape == (0,)


def test_outputs_that_are_no_probabilities_are_assessed_all_the_same(line):
    # Declared as probabilities, the logits reach from -40 to 40; the preflight warns.
    _, said = line([0.3, 1.5], inputs={"classifier": {"output_kind": "probabilities"}})
    assert np.isfinite(said.bug_probability).all()
    assert said.bug_probability[0] > said.bug_probability[1]


def test_the_expected_calibration_error_of_known_cases():
    truth = np.arange(100) % 2 == 0
    assert expected_calibration_error(truth.astype(float), truth) == 0.0
    assert expected_calibration_error(1.0 - truth, truth) == 1.0
    assert expected_calibration_error(np.full(100, 0.5), truth) == 0.0
    assert expected_calibration_error(np.full(100, 0.7), np.ones(100, bool)) == pytest.approx(0.3)
    # Right on average is not enough: 0.4 where none is true, 0.6 where all are.
    halves = np.repeat([0.4, 0.6], 50)
    assert expected_calibration_error(halves, halves > 0.5) == pytest.approx(0.4)
    # Every fifth of those with 0.2, four of five of those with 0.8.
    fifths = np.arange(50) % 5 == 0
    assert expected_calibration_error(np.repeat([0.2, 0.8], 50), np.r_[fifths, ~fifths]) == pytest.approx(0.0)
    # Fewer items than bins.
    assert expected_calibration_error(np.array([0.25, 1.0]), np.array([False, True])) == pytest.approx(0.125)
