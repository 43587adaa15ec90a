"""A reader sees images by their own contrast where that of the data varies."""

import numpy as np
import pytest

from defuse_engine.inputs.dataset import Split
from defuse_engine.readers.own_classifier import Effort, train_own_classifier


@pytest.mark.parametrize("design", ["strided", "pooled", "low-pass"])
@pytest.mark.parametrize(("dimmest", "channels"), [(1.0, 2), (0.7, 2), (0.2, 4)])
def test_images_are_seen_by_their_own_contrast_where_it_varies(design, dimmest, channels):
    rng = np.random.default_rng(0)
    light = np.resize([1.0, dimmest], 64)[:, None, None, None]
    images = (rng.uniform(size=(1, 2, 12, 12)) * light).astype(np.float32)
    labels = rng.integers(0, 3, 64)
    model = train_own_classifier(Split(images, labels), labels, 3, rng, "cpu", Effort(2, 8), design=design)
    assert model.get_parameter("stages.0.0.weight").shape[1] == channels
    np.testing.assert_allclose(model.probabilities(images).sum(axis=1), 1.0, atol=1e-4)
