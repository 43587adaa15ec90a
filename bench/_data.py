"""The benchmarks' datasets. scikit-learn brings digits; the others must be on this machine."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

NAMES = ("digits", "mnist", "fashion", "gtsrb")
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Debian's package dataset-fashion-mnist puts its files here."""
SPLIT_SEED = 20_210_212
"""Fixes which items are train, validation and test, independently of a benchmark's random seeds."""
_VALIDATION_ITEMS = 10_000
_SPLITS = ("train", "validation", "test")
_TILE = 32
_TILES_IN_ROW = 100
_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class Data:
    """Three splits of uint8 images (n, C, H, W) with int64 labels (n,) in 0..K-1."""

    name: str
    class_names: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def as_input(images: np.ndarray) -> np.ndarray:
    """Return uint8 images (n, C, H, W) as the models take them: float32 in 0..1."""
    return images.astype(np.float32) / 255.0


def load(name: str) -> Data | None:
    """Load one of `NAMES`. If the data is not on this machine, print the reason and return None."""
    loaders: dict[str, Callable[[], Data | str]] = {
        "digits": _digits,
        "mnist": _mnist,
        "fashion": _fashion,
        "gtsrb": _gtsrb,
    }
    if name not in loaders:
        raise ValueError(f"dataset must be one of {', '.join(NAMES)}, got {name!r}")
    found = loaders[name]()
    if isinstance(found, Data):
        return found
    print(f"{name}: skipped: {found}", flush=True)
    return None


def write_dataset(data: Data, path: Path) -> None:
    """Write the .npz file that the engine reads (docs/job-folder.md)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        x_train=data.train_images,
        y_train=data.train_labels,
        x_validation=data.validation_images,
        y_validation=data.validation_labels,
        x_test=data.test_images,
        y_test=data.test_labels,
    )


def _digits() -> Data:
    flat, target = load_digits(return_X_y=True)
    # The engine divides by 255: scale 0..16 to 0..255.
    images = np.rint(np.asarray(flat).reshape(-1, 8, 8) * (255.0 / 16.0)).astype(np.uint8)
    labels = np.asarray(target).astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    fifth = len(labels) // 5
    test, rest = order[:fifth], order[fifth:]
    names = tuple(str(digit) for digit in range(10))
    return _split("digits", names, (images[rest], labels[rest]), (images[test], labels[test]), fifth)


def _mnist() -> Data | str:
    path = _given("mnist.npz", "arrays xtr, ytr, xte, yte")
    if isinstance(path, str):
        return path
    with np.load(path, allow_pickle=False) as file:
        xtr, ytr, xte, yte = (file[name] for name in ("xtr", "ytr", "xte", "yte"))
    names = tuple(str(digit) for digit in range(10))
    return _split("mnist", names, (xtr, ytr), (xte, yte), _VALIDATION_ITEMS)


def _fashion() -> Data | str:
    own = Path(os.environ.get("DEFUSE_DATA_DIR") or ".") / "fashion-mnist"
    folder = next((folder for folder in (own, DEBIAN_FASHION) if folder.is_dir()), None)
    if folder is None:
        return f"neither {DEBIAN_FASHION} (Debian's dataset-fashion-mnist) nor {own} exists"
    train = (_idx(folder / "train-images-idx3-ubyte.gz"), _idx(folder / "train-labels-idx1-ubyte.gz"))
    test = (_idx(folder / "t10k-images-idx3-ubyte.gz"), _idx(folder / "t10k-labels-idx1-ubyte.gz"))
    return _split("fashion", _FASHION_CLASSES, train, test, _VALIDATION_ITEMS)


def _gtsrb() -> Data | str:
    """Load the German traffic signs. The file has its splits: no sign stands in two of them."""
    path = _given("gtsrb.npz", "arrays sheet_* and y_* for train, validation and test")
    if isinstance(path, str):
        return path
    with np.load(path, allow_pickle=False) as file:
        labels = {split: file[f"y_{split}"].astype(np.int64) for split in _SPLITS}
        images = {split: _tiles(file[f"sheet_{split}"], len(labels[split])) for split in _SPLITS}
    names = tuple(str(number) for number in range(1 + max(int(some.max()) for some in labels.values())))
    parts = (part for split in _SPLITS for part in (images[split], labels[split]))
    return Data("gtsrb", names, *parts)


def _tiles(sheet: np.ndarray, count: int) -> np.ndarray:
    """Cut `count` images (n, 3, 32, 32) out of a JPEG, row by row, with 100 in a row."""
    with Image.open(io.BytesIO(sheet.tobytes())) as image:
        pixels = np.asarray(image.convert("RGB"))
    rows = pixels.reshape(-1, _TILE, _TILES_IN_ROW, _TILE, 3).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(rows.reshape(-1, 3, _TILE, _TILE)[:count])


def _given(name: str, holds: str) -> Path | str:
    """Return the path of a file in DEFUSE_DATA_DIR, or the sentence that says why there is none."""
    folder = os.environ.get("DEFUSE_DATA_DIR")
    if not folder:
        return "DEFUSE_DATA_DIR is not set"
    path = Path(folder) / name
    return path if path.is_file() else f"{path} does not exist ({holds})"


def _idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes: 0, 0, type 8, the number of axes, big-endian sizes, the values."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(tuple(shape.tolist()))


def _split(
    name: str,
    class_names: tuple[str, ...],
    known: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    validation_items: int,
) -> Data:
    """Split off a validation split. The images are grey: (n, H, W)."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(known[1]))
    validation, train = order[:validation_items], order[validation_items:]
    return Data(
        name=name,
        class_names=class_names,
        train_images=known[0][train][:, None],
        train_labels=known[1][train].astype(np.int64),
        validation_images=known[0][validation][:, None],
        validation_labels=known[1][validation].astype(np.int64),
        test_images=test[0][:, None],
        test_labels=test[1].astype(np.int64),
    )
