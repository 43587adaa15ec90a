"""Augmentation: images are moved a little and lit a little, and never mirrored."""

import numpy as np
import torch

from defuse_engine.readers.augmentation import Light, augmented, light_of

SIDE = 33
LIGHT = Light(contrast=0.5, brightness=0.3)


def _dot(row: int, column: int) -> torch.Tensor:
    image = torch.zeros(200, 1, SIDE, SIDE)
    image[:, 0, row - 1 : row + 2, column - 1 : column + 2] = 1.0
    return image


def _centres(images: torch.Tensor) -> np.ndarray:
    """Centres of mass (n, 2), in pixels."""
    weights = images[:, 0] - images[:, 0].amin(dim=(1, 2), keepdim=True)
    at = torch.arange(SIDE, dtype=torch.float32)
    total = weights.sum(dim=(1, 2))
    return torch.stack(
        [(weights.sum(dim=2) * at).sum(dim=1) / total, (weights.sum(dim=1) * at).sum(dim=1) / total], dim=1
    ).numpy()


def test_the_middle_is_shifted_by_six_per_cent_of_the_side_at_most_and_the_zoom():
    moved = _centres(augmented(_dot(16, 16), LIGHT, np.random.default_rng(0))) - 16.0
    # Turned and zoomed out, the two shifts add up.
    assert np.abs(moved).max() <= 0.06 * SIDE * (np.cos(np.deg2rad(10)) + np.sin(np.deg2rad(10))) / 0.9
    assert np.abs(moved).max(axis=0).min() > 0.04 * SIDE


def test_a_dot_on_the_right_stays_on_the_right():
    moved = _centres(augmented(_dot(16, 28), LIGHT, np.random.default_rng(0)))
    assert moved[:, 1].min() > 22
    # 10 degrees at 12 pixels from the middle, and the shift.
    assert np.abs(moved[:, 0] - 16.0).max() <= 12 * 1.1 * np.sin(np.deg2rad(10)) + 0.06 * SIDE + 0.1


def test_contrast_and_brightness_change_by_independent_factors():
    image = torch.zeros(500, 3, 8, 8)
    image[:, 0] = 1.0
    lit = augmented(image, LIGHT, np.random.default_rng(0))
    brightness = lit.mean(dim=(1, 2, 3)).numpy() * 3
    contrast = (lit[:, 0] - lit[:, 1]).mean(dim=(1, 2)).numpy() / brightness
    for factors, most in ((brightness, LIGHT.brightness), (contrast, LIGHT.contrast)):
        assert -most - 1e-3 <= np.log(factors.min()) < -0.95 * most
        assert 0.95 * most < np.log(factors.max()) <= most + 1e-3
    assert abs(np.corrcoef(brightness, contrast)[0, 1]) < 0.2


def test_light_changes_little_where_that_of_the_data_is_even():
    dots = _dot(10, 20).numpy()
    every_second = np.resize(np.array([0.0, 1.0], np.float32), len(dots))[:, None, None, None]
    even, nearly, varied = (light_of(dots * dimmest**every_second) for dimmest in (1.0, 0.7, 0.3))
    assert even == nearly
    assert (even.varies, varied.varies) == (False, True)
    assert varied.contrast > even.contrast


def test_the_same_stream_moves_the_same_way():
    one, same, another = (augmented(_dot(10, 20), LIGHT, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, another)
