"""The witness: several readers whose average speaks, and a guide of its own for ascents."""

import numpy as np
import pytest

from defuse_engine.inputs.loaded import open_resources
from defuse_engine.job_folder.job_file import read_job
from defuse_engine.models.device import open_runtime
from defuse_engine.search.seeds import encode_split
from defuse_engine.search.readers import Witness


class Steps:
    """Counts the training steps that are reported."""

    def __init__(self):
        self.seen: list[tuple[int, int]] = []

    def progress(self, stage, done, total, unit):
        if unit == "steps":
            self.seen.append((done, total))

    def warning(self, reason, message):
        raise AssertionError(message)


@pytest.fixture
def witness(make_job, graphs):
    """Train a witness on the analytic models; returns it with its dataset and what it reported."""
    # So many items that it trains for as few steps as it ever does.
    files = {"dataset.npz": graphs.dataset((1200, 300, 300))}
    resources = open_resources(read_job(make_job(files=files)).inputs, open_runtime("cpu", 1, 256))
    steps = Steps()
    codes = encode_split(resources.encoder, resources.dataset.train, steps)
    return lambda seed: (Witness(resources, codes, seed, steps), resources.dataset, steps)


def test_it_reads_what_the_labels_say(witness):
    one, dataset, steps = witness(1)
    validation = dataset.validation
    read = one.probabilities(validation.images(slice(0, len(validation))))
    np.testing.assert_allclose(read.sum(axis=1), 1.0, atol=1e-5)
    assert (read.argmax(axis=1) == validation.labels).mean() > 0.95
    # The classifier under audit, wrong from 0 to its boundary, has no part in it.
    assert steps.seen == [(done, len(steps.seen)) for done in range(1, len(steps.seen) + 1)]


def test_the_same_seed_gives_the_same_witness_and_another_seed_another(witness):
    (one, dataset, _), (same, *_), (another, *_) = (witness(seed) for seed in (1, 1, 2))
    images = dataset.validation.images(slice(0, 50))
    first, again, other = (each.probabilities(images) for each in (one, same, another))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_guide_is_trained_when_it_is_asked_for_and_is_no_reader(witness):
    one, dataset, steps = witness(1)
    before = len(steps.seen)
    guide = one.guide
    assert 0 < len(steps.seen) - before < before / 2
    assert one.guide is guide
    images = dataset.validation.images(slice(0, 50))
    alone = guide.probabilities(images)
    assert (alone.argmax(axis=1) == dataset.validation.labels[:50]).mean() > 0.9
    np.testing.assert_array_equal(one.probabilities(images), witness(1)[0].probabilities(images))
    assert not np.array_equal(alone, one.probabilities(images))
