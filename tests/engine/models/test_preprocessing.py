"""Layout and normalisation are known in one place, and are undone exactly."""

import numpy as np
import pytest
import torch

from defuse_engine.errors import InvalidModel
from defuse_engine.models.preprocessing import apply, invert
from defuse_engine.types import LAYOUTS, Preprocessing

SHAPE = (3, 4, 5)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((6, *SHAPE), np.float32))


def photographs(layout) -> Preprocessing:
    return Preprocessing(layout, 255.0, (123.0, 117.0, 104.0), (58.0, 57.0, 56.0))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_inverse_undoes_it(layout, images):
    preprocessing = photographs(layout)
    fed = apply(preprocessing, images)
    np.testing.assert_allclose(invert(preprocessing, fed, SHAPE), images, atol=1e-5)


def test_each_channel_has_its_own_mean_and_std(images):
    fed = apply(photographs("NHWC"), images)
    assert fed.shape == (6, 4, 5, 3)
    np.testing.assert_allclose(fed[..., 1], (images[:, 1] * 255 - 117) / 57, atol=1e-4)


def test_flat_is_the_image_in_the_order_of_c_h_w(images):
    np.testing.assert_array_equal(apply(Preprocessing("FLAT"), images), images.reshape(6, 60))


def test_the_default_copies_nothing(images):
    assert apply(Preprocessing(), images) is images


def test_a_mean_of_two_channels_does_not_fit_three(images):
    with pytest.raises(InvalidModel, match="one for each of 3 channels"):
        apply(Preprocessing(mean=(0.1, 0.2)), images)
