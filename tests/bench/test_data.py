"""The benchmarks' datasets."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from bench import _data


def sheet(tiles: np.ndarray) -> np.ndarray:
    """Return the JPEG of tiles (n, 32, 32, 3), 100 in a row; the rest of the last row is black."""
    rows = np.zeros((-(-len(tiles) // 100), 100, 32, 32, 3), np.uint8)
    rows.reshape(-1, 32, 32, 3)[: len(tiles)] = tiles
    pixels = rows.transpose(0, 2, 1, 3, 4).reshape(-1, 3200, 3)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, subsampling=0)
    return np.frombuffer(stream.getvalue(), np.uint8)


def test_traffic_signs_are_cut_out_of_their_sheets_in_order(monkeypatch, tmp_path):
    colours = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250]], np.uint8)
    tiles = np.broadcast_to(colours[:, None, None], (3, 32, 32, 3)).copy()
    tiles[0, :16] = 128  # the upper half: what would show if rows and columns changed places
    two_rows = np.concatenate([np.repeat(tiles[:1], 100, axis=0), tiles[1:2]])
    np.savez(
        tmp_path / "gtsrb.npz",
        sheet_train=sheet(tiles),
        y_train=np.array([0, 2, 1], np.uint8),
        sheet_validation=sheet(tiles[1:]),
        y_validation=np.array([2, 1], np.uint8),
        sheet_test=sheet(two_rows),
        y_test=np.zeros(101, np.uint8),
    )
    monkeypatch.setenv("DEFUSE_DATA_DIR", str(tmp_path))
    data = _data.load("gtsrb")
    assert data is not None
    assert data.class_names == ("0", "1", "2")
    assert data.train_images.shape == (3, 3, 32, 32)
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.tolist() == [0, 2, 1]
    assert np.abs(data.train_images[:, :, 24, 16].astype(int) - colours).max() < 8
    assert np.abs(data.train_images[0, :, 4].astype(int) - 128).max() < 8
    assert data.test_images.shape == (101, 3, 32, 32)
    assert np.abs(data.test_images[100, :, 16, 16].astype(int) - colours[1]).max() < 8


def test_without_traffic_signs_the_loader_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("DEFUSE_DATA_DIR", str(tmp_path))
    assert _data.load("gtsrb") is None
    assert "gtsrb.npz does not exist" in capsys.readouterr().out
    monkeypatch.delenv("DEFUSE_DATA_DIR")
    assert _data.load("gtsrb") is None
    assert "DEFUSE_DATA_DIR is not set" in capsys.readouterr().out


def test_digits_are_grey_and_the_file_for_the_engine_holds_them_as_they_are(tmp_path):
    data = _data.load("digits")
    assert data is not None
    assert data.train_images.shape == (1079, 1, 8, 8)
    assert data.train_images.max() == 255
    _data.write_dataset(data, tmp_path / "dataset.npz")
    with np.load(tmp_path / "dataset.npz") as file:
        assert np.array_equal(file["x_test"], data.test_images)
        assert np.array_equal(file["y_test"], data.test_labels)
