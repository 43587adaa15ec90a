"""Fine-tuning moves a copy of the classifier towards its samples."""

import dataclasses

import numpy as np
import pytest

from defuse_engine.correction.fine_tuning import RELATIVE_ADAM, Setting, Tuning, fine_tune, mean_loss
from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.correction.surroundings import no_surroundings
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.torch_form.differentiable import to_torch
from defuse_engine.types import Preprocessing


def tuning(graphs, output_kind="logits", sharpness=20.0):
    data = graphs.dataset()
    clean = Split(data["x_train"], data["y_train"])
    codes = np.column_stack([np.full(50, 0.25), np.linspace(-2, 2, 50)]).astype(np.float32)
    samples = LabeledSamples(
        (codes @ graphs.basis.T).reshape(-1, *graphs.image_shape),
        np.ones(50, np.int64),
    )
    model = to_torch(graphs.classifier(sharpness=sharpness))
    return model, Tuning(
        RELATIVE_ADAM,
        Preprocessing(),
        output_kind,
        clean,
        (samples, no_surroundings(clean)),
        64,
        baseline_loss=0.5,
    )


def test_what_the_readers_have_read_is_half_of_a_target(graphs):
    """Where they read the opposite of the labels, a fine-tuning that learns nothing else ends undecided."""
    model, setting = tuning(graphs)
    (samples, surroundings) = setting.pools
    opposite = np.tile(np.array([1.0, 0.0], np.float32), (len(samples.labels), 1))
    ends: list[float] = []
    for pool in (samples, dataclasses.replace(samples, read=opposite)):
        learned = dataclasses.replace(setting, pools=(pool, surroundings))
        tuned = fine_tune(
            model, learned, Setting(1000.0, 0.05, 3), np.random.default_rng(0), lambda done: None
        )
        ends.append(mean_loss(tuned.model, Preprocessing(), "logits", samples.images, samples.labels))
    assert ends[0] < 0.1
    assert ends[1] == pytest.approx(np.log(2), abs=0.1)


def test_fine_tuning_leaves_the_original_weights_alone(graphs):
    model, setting = tuning(graphs)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    tuned = fine_tune(model, setting, Setting(1.0, 0.01, 1), np.random.default_rng(0), lambda done: None)
    assert all((before[name] == weight).all() for name, weight in model.state_dict().items())
    assert any((before[name] != weight).any() for name, weight in tuned.model.state_dict().items())


@pytest.mark.parametrize("sharpness", [0.2, 20.0, 200.0])
def test_one_learning_rate_serves_weights_of_any_scale(graphs, sharpness):
    """The boundary, a ratio of weights, moves as far for small weights as for large ones."""
    model, setting = tuning(graphs, sharpness=sharpness)
    tuned = fine_tune(
        model,
        dataclasses.replace(setting, baseline_loss=10.0),
        Setting(1.0, 0.01, 1),
        np.random.default_rng(0),
        lambda done: None,
    )
    moved = [
        float((after - before).norm() / before.norm())
        for before, after in zip(model.state_dict().values(), tuned.model.state_dict().values(), strict=True)
    ]
    assert not tuned.diverged
    assert 0.05 < max(moved) < 3.0


def test_what_a_stage_missed_is_looked_at_more_by_the_next(graphs):
    model, setting = tuning(graphs)
    regions = setting.pools[0]
    # One sample lies across the boundary from all others.
    images = regions.images.copy()
    images[0] = (np.array([[-1.0, 0.0]]) @ graphs.basis.T).reshape(graphs.image_shape)
    pool = dataclasses.replace(regions, images=images)
    setting = dataclasses.replace(setting, pools=(pool, *setting.pools[1:]))
    losses = []
    for missed in (None, np.array([0])):
        gentle, generator = Setting(1.0, 0.01, 1), np.random.default_rng(0)
        tuned = fine_tune(model, setting, gentle, generator, lambda done: None, missed)
        losses.append(
            mean_loss(tuned.model, Preprocessing(), setting.output_kind, images[:1], regions.labels[:1])
        )
    assert losses[1] < 0.9 * losses[0]
