"""What people see of an image it still shows from afar."""

import numpy as np
import pytest

from defuse_engine.readers.low_pass import LowPass
from defuse_engine.search.two_looks import look_twice, strongest_blur

SIDE = 16


def read(images):
    """Class 1 if the right half is the brighter one, unless a fine pattern covers the image: then class 0."""
    right = images[..., SIDE // 2 :].mean(axis=(1, 2, 3)) - images[..., : SIDE // 2].mean(axis=(1, 2, 3))
    fine = np.abs(np.diff(images, axis=3)).mean(axis=(1, 2, 3))
    one = (1.0 / (1.0 + np.exp(-20.0 * right + 200.0 * np.maximum(0.0, fine - 0.2)))).astype(np.float32)
    return np.stack([1.0 - one, one], axis=1)


@pytest.fixture
def halves():
    """Twenty images, of which every second has a bright right half, and their labels."""
    labels = np.arange(20) % 2
    images = np.zeros((20, 1, SIDE, SIDE), np.float32)
    images[..., : SIDE // 2] = 0.8 * (1 - labels)[:, None, None, None]
    images[..., SIDE // 2 :] = 0.8 * labels[:, None, None, None]
    return images, labels


def test_a_detail_that_is_gone_from_afar_convinces_nobody(halves):
    images, labels = halves
    blur = strongest_blur(read, images, labels)
    assert blur is not None
    plain, striped = images[1:2], images[1:2].copy()
    striped[..., ::2] *= 0.2
    assert read(plain).argmax() == 1
    assert read(striped).argmax() == 0
    looks = look_twice(read, np.concatenate([plain, striped]), blur)
    assert looks.least[0, 1] > 0.9  # plain in both looks
    assert looks.most[0, 0] < 0.1
    assert looks.least[1].max() < 0.1  # one class near, the other from afar: neither is what it shows
    assert looks.most[1].min() > 0.9


def test_the_blur_is_as_strong_as_the_data_bears(halves):
    images, labels = halves
    striped = images.copy()
    striped[..., ::2] = 0.0  # the label of a striped image is 0, so a blur makes every second unreadable
    assert strongest_blur(read, striped, np.zeros(20, np.int64)) is None
    strong = strongest_blur(read, images, labels)
    assert strong is not None
    weakest = LowPass(SIDE, SIDE, 0.02)
    assert strong.rows.diagonal().max() < weakest.rows.diagonal().max()


def test_nothing_that_is_read_allows_no_blur(halves):
    images, labels = halves
    assert strongest_blur(read, images, 1 - labels) is None
    looks = look_twice(read, images, None)
    np.testing.assert_array_equal(looks.least, looks.most)
