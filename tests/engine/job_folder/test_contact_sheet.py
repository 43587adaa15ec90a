"""Contact sheets show each image in its place."""

import io

import numpy as np
import pytest
from PIL import Image

from defuse_engine.job_folder.contact_sheet import contact_sheet


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_contact_sheet_shows_each_image_in_its_tile(channels):
    images = np.zeros((5, channels, 8, 6), np.float32)
    images[3] = 1.0
    sheet = contact_sheet(images, 0.0, 1.0)
    picture = np.asarray(Image.open(io.BytesIO(sheet.png)).convert("RGB"))
    assert (sheet.columns, sheet.rows, sheet.count) == (3, 2, 5)
    assert picture.shape == (2 * sheet.tile_height, 3 * sheet.tile_width, 3)
    assert min(sheet.tile_width, sheet.tile_height) >= 56
    tiles = picture.reshape(2, sheet.tile_height, 3, sheet.tile_width, 3).swapaxes(1, 2).reshape(6, -1, 3)
    middle = [tile.reshape(sheet.tile_height, sheet.tile_width, 3)[30, 30].tolist() for tile in tiles]
    assert middle[:5] == [[0] * 3, [0] * 3, [0] * 3, [255] * 3, [0] * 3]


def test_the_same_images_give_the_same_png_and_any_range_is_shown():
    images = np.random.default_rng(0).normal(0, 50, (4, 3, 9, 9)).astype(np.float32)
    assert contact_sheet(images, -150.0, 150.0).png == contact_sheet(images, -150.0, 150.0).png
    assert contact_sheet(images, 5.0, 5.0).count == 4
