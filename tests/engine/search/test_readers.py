"""Readers: several networks whose average speaks, and a guide of its own for ascents."""

from dataclasses import replace

import numpy as np
import pytest

from defuse_engine.readers.readers_file import write_readers
from defuse_engine.search.readers import GUIDE, READERS, Readers


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
def train(open_run, graphs):
    """Train readers on the analytic models; returns them with their dataset and what they reported."""
    # So many items that they train for as few steps as they ever do.
    run = replace(open_run(files={"dataset.npz": graphs.dataset((1200, 300, 300))}), reporter=Steps())
    return lambda seed: (Readers(replace(run, random_seed=seed)), run.inputs.dataset, run.reporter)


def test_it_reads_what_the_labels_say(train):
    one, dataset, steps = train(1)
    validation = dataset.validation
    read = one.probabilities(validation.images(slice(0, len(validation))))
    np.testing.assert_allclose(read.sum(axis=1), 1.0, atol=1e-5)
    assert (read.argmax(axis=1) == validation.labels).mean() > 0.95
    # The classifier under audit, wrong from 0 to its boundary, has no part in it.
    assert steps.seen == [(done, len(steps.seen)) for done in range(1, len(steps.seen) + 1)]


def test_the_same_seed_gives_the_same_readers_and_another_seed_another(train):
    (one, dataset, _), (same, *_), (another, *_) = (train(seed) for seed in (1, 1, 2))
    images = dataset.validation.images(slice(0, 50))
    first, again, other = (each.probabilities(images) for each in (one, same, another))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_guide_is_trained_when_it_is_asked_for_and_is_no_reader(train):
    one, dataset, steps = train(1)
    one.probabilities(dataset.validation.images(slice(0, 1)))
    before = len(steps.seen)
    guide = one.guide
    assert 0 < len(steps.seen) - before < before / 2
    assert one.guide is guide
    images = dataset.validation.images(slice(0, 50))
    alone = guide.probabilities(images)
    assert (alone.argmax(axis=1) == dataset.validation.labels[:50]).mean() > 0.9
    np.testing.assert_array_equal(one.probabilities(images), train(1)[0].probabilities(images))
    assert not np.array_equal(alone, one.probabilities(images))


def test_the_held_out_readers_are_no_readers(train):
    one, dataset, _ = train(1)
    images = dataset.validation.images(slice(0, 50))
    held_out = one.held_out_probabilities(images)
    assert (held_out.argmax(axis=1) == dataset.validation.labels[:50]).mean() > 0.9
    assert 0.5 < one.held_out_typical <= 1.0
    assert not np.array_equal(held_out, one.probabilities(images))


def test_the_held_out_readers_never_see_what_the_vae_draws(train, monkeypatch):
    one, dataset, _ = train(1)
    decoder = type(one._run.inputs.decoder)

    def refuse(*_):
        raise AssertionError("a held-out reader asked the decoder")

    monkeypatch.setattr(decoder, "__call__", refuse)
    one.held_out_probabilities(dataset.validation.images(slice(0, 5)))
    with pytest.raises(AssertionError, match="held-out"):
        one.probabilities(dataset.validation.images(slice(0, 5)))


@pytest.mark.parametrize("with_guide", [True, False])
def test_what_an_audit_trained_is_not_trained_again(open_run, train, tmp_path, with_guide):
    one, dataset, steps = train(1)
    file, groups = tmp_path / "readers.npz", {READERS: one.networks}
    write_readers(file, groups | {GUIDE: (one.guide,)} if with_guide else groups)
    before = len(steps.seen)
    again = Readers(replace(one._run, trained=file))
    images = dataset.validation.images(slice(0, 50))
    np.testing.assert_array_equal(again.probabilities(images), one.probabilities(images))
    assert len(steps.seen) == before
    seen = again.guide.probabilities(images)
    # An audit without ascents has no guide to give.
    assert (len(steps.seen) == before) is with_guide
    np.testing.assert_array_equal(seen, one.guide.probabilities(images))
